# Writes the configuration that Tidegate reads: $(NAME) becomes what the environment has under that name, quoted for YAML.
set -eu
umask 077
from=${1:-/etc/tidegate/template/tidegate.yaml}
to=${2:-/etc/tidegate/config/tidegate.yaml}
awk '
  {
    out = ""
    rest = $0
    while (match(rest, /\$\([A-Z_][A-Z0-9_]*\)/)) {
      name = substr(rest, RSTART + 2, RLENGTH - 3)
      if (!(name in ENVIRON)) {
        print "configure: $(" name ") is in the configuration, and secretValues has no such name" > "/dev/stderr"
        exit 1
      }
      value = ENVIRON[name]
      if (value == "" || value ~ /[\r\n]/) {
        print "configure: the Secret for " name " is empty, or has more than one line (made with echo, without -n?)" > "/dev/stderr"
        exit 1
      }
      gsub(/\047/, "\047\047", value)
      out = out substr(rest, 1, RSTART - 1) "\047" value "\047"
      rest = substr(rest, RSTART + RLENGTH)
    }
    print out rest
  }' "$from" >"$to"
exec tidegate --check-config "$to"
