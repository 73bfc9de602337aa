// The door of policy single_flight, for who has sessions and upstreams: which reads wait for whom
// (SingleFlight), who loads what (LeaseTable), and those that wait on one worker (ReadParking).
#pragma once

#include "policy/single_flight/lease_table.h"
#include "policy/single_flight/read_parking.h"
#include "policy/single_flight/single_flight.h"
