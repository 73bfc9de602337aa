// The door of what is done about keys that have to be loaded, for who has sessions and upstreams:
// which reads wait for whom (SingleFlight), who loads what (LeaseTable), those that wait on one
// worker (ReadParking), keys that are loaded before they expire (EarlyRefresh), and copies for
// those who would wait (StaleCopies).
#pragma once

#include "policy/early_refresh/early_refresh.h"
#include "policy/single_flight/lease_table.h"
#include "policy/single_flight/read_parking.h"
#include "policy/single_flight/single_flight.h"
#include "policy/stale/stale_copies.h"
