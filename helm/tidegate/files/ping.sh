# Speaks the protocol by itself: the image has no client in it.
set -u
ask() {  # WHAT EXPECTED WORD…
  local what=$1 expected=$2 word line
  shift 2
  printf '*%d\r\n' $# >&3
  for word in "$@"; do
    LC_ALL=C
    printf '$%d\r\n%s\r\n' ${#word} "$word" >&3
  done
  read -r -t 5 line <&3 || { echo "$what: no answer within 5 s"; exit 1; }
  line=${line%$'\r'}
  [ "$line" = "$expected" ] || { echo "$what: $line"; exit 1; }
  echo "$what: ok"
}
exec 3<>"/dev/tcp/$TARGET_HOST/$TARGET_PORT" || { echo "cannot connect to $TARGET_HOST:$TARGET_PORT"; exit 1; }
# PROXY protocol v2, "from myself".
[ -z "${TARGET_PROXY_PROTOCOL:-}" ] || printf '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0' >&3
[ -z "${TIDEGATE_PASSWORD:-}" ] || ask AUTH +OK AUTH "$TIDEGATE_PASSWORD"
ask PING +PONG PING
ask SET +OK SET tidegate:helm-test 1 EX 60
ask GET '$1' GET tidegate:helm-test
