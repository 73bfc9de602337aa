"""COMMAND against redis-server's: arity, flags, keys, ACL categories, tips and key specifications of every command that
both have. Remarks on key specifications are documentation, of which Tidegate has its own or none."""

from support import servers

# Arity of 7.2, where WITHSCORE came.
NEWER = {"zrank": "arity", "zrevrank": "arity"}
FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specifications")


def plain(reply):
    """A reply without its types; order counts nowhere but in key specifications."""
    if isinstance(reply.value, list):
        return [plain(element) for element in reply.value]
    return reply.value.decode() if isinstance(reply.value, bytes) else reply.value


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def specification(flat):
    parts = pairs(flat)
    parts.pop("notes", None)
    return (sorted(parts.pop("flags")), sorted(map(str, parts.items())))


def table(server):
    """{name: {field: what COMMAND says}} of all commands and sub-commands."""
    rows = {}
    waiting = plain(server.connect().command("COMMAND"))
    while waiting:
        row = waiting.pop()
        waiting.extend(row[9])
        fields = dict(zip(FIELDS, row))
        for name in ("flags", "categories", "tips"):
            fields[name] = sorted(fields[name])
        fields["key specifications"] = [specification(keys) for keys in fields["key specifications"]]
        rows[fields.pop("name")] = fields
    return rows


def command_table(report, start):
    with start() as server, servers.redis_server() as redis:
        ours, theirs = table(server), table(redis)
    common = sorted(set(ours) & set(theirs))
    report.check("has most of Redis's commands", len(common) > 250, len(common))
    different = ["%s: %s: %s, Redis has %s" % (name, field, ours[name][field], theirs[name][field])
                 for name in common for field in theirs[name]
                 if ours[name][field] != theirs[name][field] and NEWER.get(name) != field]
    report.check("tells the same of each", not different, "\n".join(different))
