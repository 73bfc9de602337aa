#!/usr/bin/env python3
"""Writes the dashboards in grafana/dashboards/ from the panels below; `--check` says whether they are as it would write them.

Why not JSON by hand: nine tenths of a dashboard's JSON say the same for each panel. Here a panel is a line or two, and all
have the same look. Grafana 9 and newer take the files (schema 37). In a query, `@` stands for the instances that were chosen.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
INSTANCES = 'instance=~"$instance"'
CLUSTERS = INSTANCES + ', cluster=~"$cluster"'


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": DATASOURCE, "definition": query, "refresh": 2, "sort": 1,
            "query": {"query": query, "refId": "variable-" + name}, "multi": True, "includeAll": True, "allValue": ".*",
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "hide": 0, "options": [], "regex": "", "skipUrlSync": False}


DATASOURCE_VARIABLE = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0,
                       "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "", "skipUrlSync": False}
INSTANCE_VARIABLE = variable("instance", "Instance", "label_values(tidegate_build_info, instance)")
CLUSTER_VARIABLE = variable("cluster", "Cluster", "label_values(tidegate_upstream_requests_total{%s}, cluster)" % INSTANCES)


def targets(queries, scope, instant=False):
    found = []
    for i, query in enumerate(queries):
        expression, legend = query if isinstance(query, tuple) else (query, "")
        found.append({"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": expression.replace("@", scope), "legendFormat": legend or "__auto",
                      "instant": instant, "range": not instant, "editorMode": "code"})
    return found


def stat(title, query, unit="short", what="", bad_above=None, bad_below=None, width=4):
    steps = [{"color": "green", "value": None}]
    if bad_above is not None:
        steps.append({"color": "red", "value": bad_above})
    if bad_below is not None:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": bad_below}]
    return {"type": "stat", "title": title, "description": what, "queries": [query], "instant": True, "width": width, "height": 4,
            "fieldConfig": {"defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
            "options": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value", "graphMode": "none",
                        "justifyMode": "auto", "orientation": "auto", "textMode": "auto"}}


def graph(title, *queries, unit="short", what="", width=8, stack=False, top=None):
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if stack else 8, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stack else "none", "group": "A"}}
    defaults = {"unit": unit, "min": 0, "custom": custom, "color": {"mode": "palette-classic"}}
    if top is not None:
        defaults["max"] = top
    return {"type": "timeseries", "title": title, "description": what, "queries": queries, "instant": False, "width": width, "height": 8,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                        "tooltip": {"mode": "multi", "sort": "desc"}}}


def row(title):
    return {"type": "row", "title": title, "width": COLUMNS, "height": 1}


def place(panels, scope):
    """From left to right, then down."""
    placed, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel["width"] > COLUMNS:
            x, y, height = 0, y + height, 0
        grid = {"x": x, "y": y, "w": panel["width"], "h": panel["height"]}
        x, height = x + panel["width"], max(height, panel["height"])
        if panel["type"] == "row":
            placed.append({"id": number, "type": "row", "title": panel["title"], "collapsed": False, "gridPos": grid, "panels": []})
        else:
            placed.append({"id": number, "type": panel["type"], "title": panel["title"], "description": panel["description"], "gridPos": grid,
                           "datasource": DATASOURCE, "targets": targets(panel["queries"], scope, panel["instant"]),
                           "fieldConfig": panel["fieldConfig"], "options": panel["options"]})
    return placed


def dashboard(uid, title, what, panels, by_cluster=False):
    variables = [DATASOURCE_VARIABLE, INSTANCE_VARIABLE] + ([CLUSTER_VARIABLE] if by_cluster else [])
    return {"uid": uid, "title": title, "description": what, "tags": ["tidegate"], "schemaVersion": 37, "version": 1, "editable": True,
            "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-30m", "to": "now"}, "timezone": "", "timepicker": {},
            "annotations": {"list": []}, "templating": {"list": variables}, "fiscalYearStartMonth": 0, "weekStart": "", "liveNow": False,
            "links": [{"type": "dashboards", "tags": ["tidegate"], "title": "Tidegate", "asDropdown": False, "includeVars": True, "keepTime": True,
                       "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
            "panels": place(panels, CLUSTERS if by_cluster else INSTANCES)}


def per_second(metric, *by):
    labels = " by (%s)" % ", ".join(by) if by else ""
    return "sum%s (rate(%s{@}[$__rate_interval]))" % (labels, metric)


def quantile(q, metric, *by):
    return "histogram_quantile(%s, sum by (%s) (rate(%s_bucket{@}[$__rate_interval])))" % (q, ", ".join(("le", *by)), metric)


OVERVIEW = (
    stat("Ready", "sum(tidegate_ready{@})", what="Instances that accept clients.", bad_below=1),
    stat("Requests", per_second("tidegate_requests_total"), "reqps"),
    stat("Clients", "sum(tidegate_connections{@})"),
    stat("Engine hit ratio", "sum(rate(tidegate_keyspace_hits_total{@}[$__rate_interval])) / (sum(rate(tidegate_keyspace_hits_total{@}[$__rate_interval])) + "
         "sum(rate(tidegate_keyspace_misses_total{@}[$__rate_interval])))", "percentunit", "Look-ups of read commands that found their key."),
    stat("Error replies", per_second("tidegate_error_replies_total"), "reqps", bad_above=10),
    stat("p99 of commands", quantile(0.99, "tidegate_command_duration_seconds"), "s", "Time in the engine, all commands together."),
    row("Traffic"),
    graph("Requests", (per_second("tidegate_requests_total", "instance"), "{{instance}}"), unit="reqps", stack=True),
    graph("Busiest commands", ("topk(10, %s)" % per_second("tidegate_command_calls_total", "command"), "{{command}}"), unit="reqps"),
    graph("Time of commands", (quantile(0.5, "tidegate_command_duration_seconds"), "p50"), (quantile(0.99, "tidegate_command_duration_seconds"), "p99"),
          (quantile(0.999, "tidegate_command_duration_seconds"), "p99.9"), unit="s", what="Time in the engine; commands that wait for data wait in it."),
    graph("p99 by class", (quantile(0.99, "tidegate_request_duration_seconds", "class"), "{{class}}"), unit="s",
          what="Of the engine and of what is forwarded; without the time that blocking commands wait for data."),
    graph("Sizes, p99", (quantile(0.99, "tidegate_request_size_bytes"), "requests"), (quantile(0.99, "tidegate_reply_size_bytes"), "replies"), unit="bytes"),
    graph("Commands that take the time", ("topk(10, %s)" % per_second("tidegate_command_seconds_total", "command"), "{{command}}"), unit="s",
          what="Seconds of work in each second, by command."),
    graph("Errors", (per_second("tidegate_error_replies_total"), "error replies"), (per_second("tidegate_command_rejections_total"), "rejected before execution"),
          (per_second("tidegate_auth_failures_total"), "wrong passwords"), unit="reqps"),
    graph("Failing commands", ("topk(10, %s)" % per_second("tidegate_command_failures_total", "command"), "{{command}}"), unit="reqps"),
    row("Routes"),
    graph("Requests by route", (per_second("tidegate_route_requests_total", "route", "cluster"), "{{route}} to {{cluster}}"), unit="reqps"),
    graph("Hit ratio by route", ("%s / (%s + %s)" % (per_second("tidegate_route_hits_total", "route", "cluster"), per_second("tidegate_route_hits_total", "route", "cluster"),
                                                    per_second("tidegate_route_misses_total", "route", "cluster")), "{{route}} to {{cluster}}"), unit="percentunit", top=1),
    graph("p99 by route", (quantile(0.99, "tidegate_route_request_duration_seconds", "route", "cluster"), "{{route}} to {{cluster}}"), unit="s"),
    row("Clients"),
    graph("Clients", ("sum by (instance) (tidegate_connections{@})", "{{instance}}"), ("max(tidegate_connections_limit{@})", "limit"),
          what="The limit is maxclients of one instance."),
    graph("Connections", (per_second("tidegate_connections_accepted_total"), "accepted"), (per_second("tidegate_connections_rejected_total"), "refused"),
          (per_second("tidegate_connections_closed_total", "reason"), "closed: {{reason}}"), unit="cps"),
    graph("Network", (per_second("tidegate_network_receive_bytes_total"), "received"), (per_second("tidegate_network_transmit_bytes_total"), "sent"), unit="Bps"),
    row("Threads"),
    graph("How busy workers are", (per_second("tidegate_loop_turn_duration_seconds_sum", "instance", "worker"), "{{instance}} {{worker}}"), unit="percentunit",
          top=1, what="Share of the time in which a worker's loop does something. Near 100 %: latency grows."),
    graph("Turns of loops, p99.9", (quantile(0.999, "tidegate_loop_turn_duration_seconds", "instance"), "{{instance}}"), unit="s",
          what="What a client waits for others at most, nearly. The goal is 5 ms."),
    graph("Lag of loops, p99.9", (quantile(0.999, "tidegate_loop_lag_seconds", "instance"), "{{instance}}"), unit="s",
          what="How much later than asked for a timer fires: what a client waits before anybody looks at it."),
    graph("Messages between workers", ("sum by (instance) (tidegate_mailbox_messages{@})", "{{instance}}"), what="That wait to be taken."),
    graph("Suspended clients", ("sum by (instance) (tidegate_connections_suspended{@})", "{{instance}}"),
          what="Clients whose command waits: for data, for a slot, for a pause to end."),
)

ENGINE = (
    stat("Keys", "sum(tidegate_keys{@})"),
    stat("Memory used", "sum(tidegate_memory_used_bytes{@})", "bytes"),
    stat("Of the limit", "max(tidegate_memory_used_bytes{@} / (tidegate_memory_limit_bytes{@} > 0))", "percentunit", "The fullest instance that has a limit.",
         bad_above=0.95),
    stat("Journal fails", "sum(tidegate_journal_failing{@})", what="Instances that refuse writes because their disk fails or is full.", bad_above=1),
    stat("Journal lag, p99", "max(tidegate_journal_lag_p99_seconds{@})", "s", "How much a crash of the process would lose.", bad_above=1),
    stat("Failed snapshots", "sum(tidegate_snapshot_failed{@})", what="Instances whose last snapshot failed.", bad_above=1),
    row("Keys"),
    graph("Memory", ("sum(tidegate_memory_used_bytes{@})", "used"), ("sum(tidegate_memory_limit_bytes{@})", "limit"),
          ("sum(tidegate_allocator_resident_bytes{@})", "resident"), ("sum(tidegate_store_memory_bytes{@})", "store"), unit="bytes",
          what="Limit 0: none. Resident beyond used is what the allocator holds for later."),
    graph("Keys", ("sum by (db) (tidegate_keys{@})", "db {{db}}"), ("sum(tidegate_keys_with_expiry{@})", "with expiry")),
    graph("Look-ups", (per_second("tidegate_keyspace_hits_total"), "hits"), (per_second("tidegate_keyspace_misses_total"), "misses"), unit="ops", stack=True),
    graph("Keys that go", (per_second("tidegate_keys_expired_total"), "expired"), (per_second("tidegate_keys_evicted_total"), "evicted"),
          (per_second("tidegate_hash_fields_expired_total"), "hash fields expired"), unit="ops"),
    graph("Changes", (per_second("tidegate_key_changes_total", "instance"), "{{instance}}"), unit="ops"),
    graph("Waiting", (per_second("tidegate_lock_parks_total"), "for a slot"), (per_second("tidegate_gate_closings_total"), "gate closings"),
          (per_second("tidegate_eviction_waits_total"), "for eviction"), (per_second("tidegate_journal_waits_total"), "for the journal"), unit="ops"),
    row("Journal and checkpoints"),
    graph("Journal lag", ("max by (instance) (tidegate_journal_lag_p99_seconds{@})", "{{instance}} p99"), unit="s"),
    graph("Journal in memory", ("sum(tidegate_journal_waiting_bytes{@})", "not written yet"), ("sum(tidegate_journal_tail_bytes{@})", "tail"), unit="bytes"),
    graph("Journal written", (per_second("tidegate_journal_written_bytes_total", "instance"), "{{instance}}"), unit="Bps"),
    graph("Since the last checkpoint", ("sum by (instance) (tidegate_journal_records{@})", "{{instance}}"), what="Records that a start would replay."),
    graph("Last checkpoint took", ("max by (instance) (tidegate_checkpoint_duration_seconds{@} >= 0)", "{{instance}}"), unit="s"),
    graph("What fails", (per_second("tidegate_journal_failures_total"), "journal"), (per_second("tidegate_journal_refusals_total"), "writes refused"),
          (per_second("tidegate_checkpoint_failures_total"), "checkpoints"), (per_second("tidegate_backup_failures_total"), "backups"), unit="ops"),
    graph("On disk", ("sum by (instance) (tidegate_store_disk_bytes{@})", "{{instance}}"), unit="bytes"),
    graph("Keys read from disk", (per_second("tidegate_warmup_keys_on_demand_total"), "on demand"), (per_second("tidegate_warmup_loaded_keys_total"), "loaded"), unit="ops"),
    graph("Values to be freed", ("sum by (instance) (tidegate_lazyfree_pending_objects{@})", "{{instance}}")),
)

UPSTREAMS = (
    stat("Requests", per_second("tidegate_upstream_requests_total"), "reqps"),
    stat("p99", quantile(0.99, "tidegate_upstream_request_duration_seconds"), "s"),
    stat("Nodes", "sum(tidegate_discovery_nodes{@})", what="Of all clusters, seen from all instances."),
    stat("Nodes not usable", "sum(tidegate_discovery_nodes{@}) - sum(tidegate_discovery_usable_nodes{@})", bad_above=1),
    stat("Open breakers", "sum(tidegate_upstream_breakers_open{@})", what="Workers that leave a node alone because it fails.", bad_above=1),
    stat("Lost or refused", per_second("tidegate_upstream_requests_lost_total") + " + " + per_second("tidegate_upstream_requests_refused_total"), "reqps",
         "Requests that were answered with an error because of a node.", bad_above=0.1),
    row("By node"),
    graph("Requests", (per_second("tidegate_upstream_requests_total", "cluster", "node"), "{{cluster}} {{node}}"), unit="reqps"),
    graph("p99", (quantile(0.99, "tidegate_upstream_request_duration_seconds", "cluster", "node"), "{{cluster}} {{node}}"), unit="s"),
    graph("p50", (quantile(0.5, "tidegate_upstream_request_duration_seconds", "cluster", "node"), "{{cluster}} {{node}}"), unit="s"),
    graph("In flight", ("sum by (cluster, node) (tidegate_upstream_requests_in_flight{@})", "{{cluster}} {{node}}")),
    graph("Connections", ("sum by (cluster, node) (tidegate_upstream_connections{@})", "{{cluster}} {{node}}")),
    graph("Open breakers", ("sum by (cluster, node) (tidegate_upstream_breakers_open{@})", "{{cluster}} {{node}}")),
    row("What goes wrong"),
    graph("Not answered", (per_second("tidegate_upstream_requests_refused_total", "node"), "refused {{node}}"),
          (per_second("tidegate_upstream_requests_lost_total", "node"), "lost {{node}}"), unit="reqps"),
    graph("Connections that fail", (per_second("tidegate_upstream_connect_failures_total", "node"), "not made {{node}}"),
          (per_second("tidegate_upstream_timeouts_total", "node"), "late reply {{node}}"),
          (per_second("tidegate_upstream_protocol_errors_total", "node"), "no protocol {{node}}"), unit="ops"),
    graph("Answered all the same", (per_second("tidegate_upstream_retries_total"), "by another node"),
          (per_second("tidegate_upstream_redirections_total"), "after a redirection"), (per_second("tidegate_upstream_script_reloads_total"), "script sent again"), unit="reqps"),
    graph("Error replies", (per_second("tidegate_upstream_error_replies_total", "cluster", "node"), "{{cluster}} {{node}}"), unit="reqps"),
    row("Topology, traffic, private connections"),
    graph("Usable nodes", ("max by (cluster) (tidegate_discovery_usable_nodes{@})", "{{cluster}}"), ("max by (cluster) (tidegate_discovery_nodes{@})", "{{cluster}} known")),
    graph("Failovers", ("max by (cluster) (increase(tidegate_discovery_failovers_total{@}[$__rate_interval]))", "{{cluster}}")),
    graph("Discovery", (per_second("tidegate_discovery_refreshes_total", "cluster"), "{{cluster}}"),
          (per_second("tidegate_discovery_refresh_failures_total", "cluster"), "{{cluster}} failed"), unit="ops"),
    graph("Bytes", (per_second("tidegate_upstream_transmit_bytes_total", "cluster"), "to {{cluster}}"),
          (per_second("tidegate_upstream_receive_bytes_total", "cluster"), "from {{cluster}}"), unit="Bps"),
    graph("Private connections", ("sum by (cluster) (tidegate_upstream_private_connections_in_use{@})", "{{cluster}} in use"),
          ("sum by (cluster) (tidegate_upstream_private_connections_idle{@})", "{{cluster}} idle"), what="Of clients that block, watch or subscribe."),
    graph("Waiting for a node", ("sum by (cluster) (tidegate_upstream_private_waiting{@})", "{{cluster}} for a private connection"), what="Requests."),
    graph("Bytes not sent yet", ("sum by (cluster, node) (tidegate_upstream_queued_bytes{@})", "{{cluster}} {{node}}"), unit="bytes"),
    graph("Large replies", (per_second("tidegate_upstream_large_replies_total", "cluster"), "{{cluster}}"), unit="ops", what="Of more than 256 KiB."),
)

KEYS = (
    stat("Hot keys", "sum(max by (instance) (tidegate_hot_keys{@}))", what="Keys that are hot now, in their largest class. Which they are, the page at the admin "
         "address says: names of keys are never in metrics."),
    stat("Of the hottest", 'max(tidegate_traffic_share{@, top="1"})', "percentunit", "The share of all accesses that goes to one key, on the instance where it is largest.",
         bad_above=0.2),
    stat("Of the hottest ten", 'max(tidegate_traffic_share{@, top="10"})', "percentunit"),
    stat("More than fit", "sum(tidegate_hot_keys_refused{@})", what="Keys that would be hot, beyond hot-keys-max.", bad_above=1),
    row("Hot keys"),
    graph("Hot keys by class", ("sum by (class) (tidegate_hot_keys{@})", "{{class}}"), what="A key of two classes is in both."),
    graph("Share of the hottest", ("max by (top) (tidegate_traffic_share{@})", "top {{top}}"), unit="percentunit", top=1,
          what="Of all accesses, those of the 1, 10 and 100 hottest keys."),
    graph("Keys that become hot", (per_second("tidegate_hot_key_promotions_total"), "became hot"), (per_second("tidegate_hot_key_cool_downs_total"), "cooled down"), unit="ops"),
    graph("Watched", ("sum by (instance) (tidegate_hot_keys_watched{@})", "{{instance}}"), what="Keys whose accesses are counted one by one."),
    row("Kept replies (local_cache)"),
    graph("Reads", (per_second("tidegate_local_cache_hits_total"), "answered here"), (per_second("tidegate_local_cache_misses_total"), "asked of the node"), unit="reqps",
          what="Of those that local_cache looks for."),
    graph("Kept keys", ("sum by (instance) (tidegate_local_cache_keys{@})", "{{instance}}")),
    graph("Connections that tell of changes", ("sum(tidegate_local_cache_connections{@})", "there"), ("sum(tidegate_local_cache_connections_down{@})", "down"),
          what="While one is down its node's replies are not kept."),
    row("Big keys"),
    graph("Big keys", ("sum by (level) (tidegate_big_keys{@})", "{{level}}"), what="Keys that are big, and those near it. /bigkeys and the page say which."),
    graph("Keys that become big", (per_second("tidegate_big_key_detections_total"), "found"), unit="ops"),
)

DASHBOARDS = (
    dashboard("tidegate-overview", "Tidegate / Overview", "Traffic, latency, clients and threads of all instances.", OVERVIEW),
    dashboard("tidegate-engine", "Tidegate / Engine", "Memory, keys, journal, checkpoints of the built-in engine.", ENGINE),
    dashboard("tidegate-keys", "Tidegate / Keys", "How much of the traffic goes to few keys.", KEYS),
    dashboard("tidegate-upstreams", "Tidegate / Upstreams", "Nodes that requests are forwarded to.", UPSTREAMS, by_cluster=True),
)


def main():
    stale = []
    for one in DASHBOARDS:
        path = HERE / "dashboards" / (one["uid"] + ".json")
        text = json.dumps(one, indent=1, ensure_ascii=False) + "\n"
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    for name in stale:
        print("%s is not what grafana/generate.py writes: run it" % name)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
