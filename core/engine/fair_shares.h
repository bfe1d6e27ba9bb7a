// Which client's turn it is: the one that was served least so far. A client that comes back after a
// pause starts level with the least served of those that wait, so that nobody saves up. Not
// thread-safe. The virtual token counter of Sheng et al., "Fairness in Serving Large Language
// Models" (OSDI 2024).
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

namespace lockstep {

class FairShares {
 public:
  // What a token costs: one that is generated takes a step, of which prompt tokens share one.
  static constexpr double kPromptToken = 1, kGeneratedToken = 2;
  // A unit of WorkBudget: a step's work for grammars, some 10 ms, costs as much as a token in it.
  static constexpr double kGrammarWork = kGeneratedToken / (1 << 21);

  // A request of the client waits or runs, from Join to Leave. Nested.
  void Join(const std::string& client);
  void Leave(const std::string& client);
  // REQUIRES: joined.
  void Charge(const std::string& client, double cost) { clients_.at(client).served += cost; }
  double Served(const std::string& client) const { return clients_.at(client).served; }

 private:
  struct Client {
    double served = 0;
    size_t requests = 0;
  };
  std::unordered_map<std::string, Client> clients_;  // those without a request are remembered
  size_t active_ = 0;                                // clients with a request
};

}  // namespace lockstep
