// The topology of one upstream cluster as part of the page /clusters: what discovery knows, since
// when, and what is wrong with it. Of a Redis Cluster each primary with the ranges of its slots.
// Any thread; cost: one pass over the slots.
#pragma once

#include "proxy/admin/json_writer.h"
#include "proxy/discovery/topology_publisher.h"

namespace tidegate {

// Appends the key "topology" with its object.
void WriteTopology(JsonWriter& json, const discovery::TopologyPublisher& cluster);

}  // namespace tidegate
