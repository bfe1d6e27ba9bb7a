// The socket of a service that outlives its restarts: systemd keeps it, and who connects meanwhile
// waits for the next process instead of being refused. Either the manager is given the socket
// (FileDescriptorStoreMax=), or it has made it itself (a socket unit).
#pragma once

#include "core/base/status.h"
#include "server/http/http_server.h"

namespace lockstep {

// Sets `listener` and `kept` of the options where a service manager keeps the socket, and `host`
// where it has chosen the address; else leaves them as they are. Errors are those of Listen and
// TakeListener, and kInvalidArgument for more sockets than one. Takes from the environment what was
// for this process. REQUIRES: called before any other thread starts.
[[nodiscard]] Status ListenForRestarts(HttpServerOptions& options);

}  // namespace lockstep
