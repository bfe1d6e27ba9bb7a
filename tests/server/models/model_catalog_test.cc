#include "server/models/model_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ModelCatalogTest : public testing::Test {
 protected:
  ModelCatalogTest() : folder_(fs::path(testing::TempDir()) / "catalog") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ModelCatalogTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& bytes = "GGUF") {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << bytes;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto models = ScanModels(folder_.string());
    for (const CatalogModel& model : *models) {
      names.push_back(model.name);
    }
    return names;
  }

  const fs::path folder_;
};

TEST_F(ModelCatalogTest, FilesAndFoldersAreModels) {
  for (const char* name :
       {"b.gguf", "a.gguf", "one/x.gguf", "two/x.gguf", "two/y.gguf", "empty/notes.txt",
        "a/other.gguf", ".hidden.gguf", "mmproj-a.gguf", "readme.md", "one/deep/z.gguf"}) {
    Write(name);
  }
  EXPECT_THAT(Names(), ElementsAre("a", "b", "one", "two/x", "two/y"));
  const auto models = ScanModels(folder_.string());
  EXPECT_EQ((*models)[0].path, (folder_ / "a.gguf").string());  // and not the folder's of that name
  EXPECT_EQ((*models)[2].path, (folder_ / "one/x.gguf").string());
}

TEST_F(ModelCatalogTest, ASplitModelCountsOnceAndWhole) {
  Write("s-00001-of-00002.gguf", "12345");
  Write("s-00002-of-00002.gguf", "678");
  Write("cut-00001-of-00002.gguf");
  Write("late-00002-of-00002.gguf");
  const auto models = ScanModels(folder_.string());
  ASSERT_EQ(models->size(), 1U);
  EXPECT_EQ((*models)[0].name, "s");
  EXPECT_EQ((*models)[0].bytes, 8U);
  EXPECT_THAT((*models)[0].path, HasSubstr("s-00001-of-00002.gguf"));
}

TEST_F(ModelCatalogTest, NamesThatAreNoUtf8AreLeftOut) {
  Write("\xff.gguf");
  Write("\xfe/x.gguf");
  Write("\xc3\xa4.gguf");
  EXPECT_THAT(Names(), ElementsAre("\xc3\xa4"));
  std::vector<std::string> notes;
  ASSERT_TRUE(ScanModels(folder_.string(), &notes));
  EXPECT_THAT(notes, testing::UnorderedElementsAre(
                         HasSubstr("catalog/\\xff.gguf\" is left out: its name is no UTF-8"),
                         HasSubstr("catalog/\\xfe\" is left out: its name is no UTF-8")));
}

TEST_F(ModelCatalogTest, TheEndOfANameMayBeInCapitals) {
  Write("UP.GGUF");
  EXPECT_THAT(Names(), ElementsAre("UP"));
}

TEST_F(ModelCatalogTest, OfTwoModelsOfOneNameBothAreNamed) {
  Write("think.gguf");
  Write("think/think.gguf");
  std::vector<std::string> notes;
  const auto models = ScanModels(folder_.string(), &notes);
  ASSERT_EQ(models->size(), 1U);
  EXPECT_EQ((*models)[0].path, (folder_ / "think.gguf").string());
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("/think/think.gguf\" is left out: "));
  EXPECT_THAT(notes[0], HasSubstr("/catalog/think.gguf\" has the same name, \"think\""));
}

TEST_F(ModelCatalogTest, FindsByNameAndLooksAgain) {
  Write("a.gguf");
  CatalogModel fetched;
  fetched.name = "some/R:Q8_0";
  fetched.path = "/cache/r.gguf";
  CatalogModel hidden;
  hidden.name = "a";
  ModelCatalog catalog(folder_.string(), [&] { return std::vector{fetched, hidden}; });
  for (const char* name : {"a", "a:latest", "a.gguf"}) {
    ASSERT_TRUE(catalog.Find(name)) << name;
    EXPECT_EQ(catalog.Find(name)->path, (folder_ / "a.gguf").string());
  }
  EXPECT_TRUE(catalog.Find("some/R:Q8_0")->fetched);
  for (const char* name : {"", "A", "../catalog/a", "a.gguf.gguf", ":latest", "/a"}) {
    EXPECT_FALSE(catalog.Find(name)) << name;
  }
  Write("b.gguf");
  EXPECT_TRUE(catalog.Find("b"));
  EXPECT_EQ(catalog.List().size(), 3U);
  fs::remove_all(folder_);
  EXPECT_EQ(catalog.List().size(), 3U);  // what it had
}

TEST_F(ModelCatalogTest, ANameComesBeforeAnAlias) {
  Write("a.gguf");
  Write("b.gguf");
  CatalogModel preset;
  preset.name = "a";
  preset.aliases = {"b", "c", "d"};
  ModelCatalog catalog(folder_.string(), [] { return std::vector<CatalogModel>(); }, {preset});
  for (const char* name : {"b", "b:latest", "b.gguf"}) {
    ASSERT_TRUE(catalog.Find(name)) << name;
    EXPECT_EQ(catalog.Find(name)->name, "b") << name;
  }
  for (const char* name : {"c", "d:latest"}) {
    ASSERT_TRUE(catalog.Find(name)) << name;
    EXPECT_EQ(catalog.Find(name)->name, "a") << name;
  }
}

TEST_F(ModelCatalogTest, AFolderThatIsNotThereIsAnError) {
  const auto models = ScanModels((folder_ / "none").string());
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(models.error().message, HasSubstr("--models-dir"));
}

}  // namespace
}  // namespace lockstep
