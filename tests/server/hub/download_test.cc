// What is said of answers that are no file.
#include "server/hub/download.h"

#include <gmock/gmock.h>

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

// RFC 9110, 10.2.3: seconds, or a date.
TEST(DownloadTest, WhenToTryAgainIsSaidAsItCame) {
  ReplyHead head;
  head.status = 429;
  const auto said = [&head] { return ReplyError(head, "m", {}, false).message; };
  EXPECT_THAT(said(), Not(HasSubstr("retry after")));
  head.retry_after = "120";
  EXPECT_THAT(said(), HasSubstr("; retry after 120 s"));
  head.retry_after = "Wed, 21 Oct 2015 07:28:00 GMT";
  EXPECT_THAT(said(), testing::EndsWith("; retry after Wed, 21 Oct 2015 07:28:00 GMT"));
  EXPECT_TRUE(WhenAgain(head).worth);
  EXPECT_EQ(WhenAgain(head).after.count(), 0);  // it has passed
}

}  // namespace
}  // namespace lockstep
