// GET and DELETE of /v1/responses/ID, and GET of /v1/responses/ID/input_items: what is kept of an
// answer, for who asked for it. Pure functions but for the store, safe from any thread.
#pragma once

#include "server/api/route.h"

namespace lockstep {

HttpReply StoredResponse(RouteCall& call);
HttpReply ResponseInput(RouteCall& call);
HttpReply DeleteResponse(RouteCall& call);

}  // namespace lockstep
