#include "tests/support/template_cases.h"

namespace lockstep {
namespace {

// The wanted texts are jinja2's.
TEST(ContainerMethods, DoWhatPythonsDo) {
  const TemplateCase cases[] = {
      {"{{ dict.get('k') }} {{ dict.get('z') }} {{ dict.get('z', 1) }} {{ dict.keys() | list }} {{ "
       "dict.values() | list }} {{ {'a': 1}.items() | list }} {{ {'a': [1]}.copy() }}",
       "v None 1 ['items', 'k'] [1, 'v'] [('a', 1)] {'a': [1]}"},
      {"{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %} {{ 'a' in {'a': "
       "1}.keys() }} {{ {'a': 1}.keys() | length }}",
       "a1b2 True 1"},
      {"{{ [1, 2, 1].count(1) }} {{ (1, 2).index(2) }} {{ ['a'].copy() }} {{ [1, true, "
       "1.0].count(1) }}",
       "2 1 ['a'] 3"},
      {"{{ {'get': 5}.get('get') }} {{ {'items': 5}['items'] }}", "5 5"},
  };
  ExpectRendered(cases);
}

}  // namespace
}  // namespace lockstep
