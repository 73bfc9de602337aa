# shellcheck shell=bash disable=SC2034
# Shared piece of the scripts in this folder; sourced, never run.
#
# It knows which Debian 12 packages each job needs and installs the missing ones. When nothing is missing it asks dpkg
# once and returns, so every script can call it every time. An item is a package name, or `command|package`: then the
# package counts as present when the command is there, whoever installed it (npm comes with other builds of nodejs too).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A release build, and what to talk to it with. In step with what the CMake files look for.
packages_run=(
  cmake ninja-build g++ pkg-config
  libuv1-dev libyaml-cpp-dev libxxhash-dev liblzf-dev libjemalloc-dev prometheus-cpp-dev libcivetweb-dev librocksdb-dev libssl-dev
  liblua5.1-0-dev lua-cjson-dev lua-bitop-dev
  'redis-cli|redis-tools' 'curl|curl'
)
# Beside those: unit tests, transcripts against the real server, and the client libraries of the end-to-end tests.
packages_test=(
  ccache libgtest-dev libgmock-dev libhiredis-dev
  'redis-server|redis-server' 'redis-benchmark|redis-tools' python3 python3-redis python3-yaml 'openssl|openssl'
  'node|nodejs' 'npm|npm'
  'prometheus-redis-exporter|prometheus-redis-exporter'
  # The page for people, dashboards and alerts.
  'chromium|chromium' fonts-dejavu-core 'prometheus|prometheus'
)
# Beside those: static analysis, sanitizers, fuzzing, benchmarks.
packages_dev=(clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev libbenchmark-dev git)

# Beside those of packages_run: the Debian package.
packages_package=(dpkg-dev file)

say() { printf '== %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Runs a command as root: directly when we are, else through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "packages are missing and this user is not root; install sudo or run as root: apt-get install ${missing[*]}"
  fi
}

# Prints the packages among the given items that are not installed.
missing_packages() {
  local item installed
  installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' 2>/dev/null || true)"
  for item in "$@"; do
    case $item in
      *'|'*) command -v "${item%%|*}" >/dev/null || printf '%s\n' "${item#*|}" ;;
      *) [[ $installed == *" $item=installed "* ]] || printf '%s\n' "$item" ;;
    esac
  done
}

# stop_service NAME: Debian starts what it has just installed. Only the program is wanted here.
stop_service() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl disable --now "$1" >/dev/null 2>&1 || true
  elif [ -x "/etc/init.d/$1" ]; then
    as_root "/etc/init.d/$1" stop >/dev/null 2>&1 || true
  fi
}

# install_packages item…: makes sure all of them are there.
install_packages() {
  local missing=() apt
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "no apt here: expecting these to be installed already: ${*##*|}"
    return 0
  fi
  mapfile -t missing < <(missing_packages "$@" | sort -u)
  [ ${#missing[@]} -gt 0 ] || return 0

  say "installing ${missing[*]}"
  apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
  as_root "${apt[@]}" update </dev/null || die "apt-get update failed; is the network up?"
  as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >"$(install_log)" 2>&1 || {
    tail -n 30 "$(install_log)" >&2
    die "could not install: ${missing[*]} (log: $(install_log))"
  }
  local service
  for service in redis-server prometheus prometheus-redis-exporter; do
    [[ " ${missing[*]} " != *" $service "* ]] || stop_service "$service"
  done
}

install_log() {
  mkdir -p "$root/build"
  printf '%s\n' "$root/build/install.log"
}

# build PRESET [TARGET…]: configures when needed and builds. Fails with the compiler's output as the last thing shown.
build() {
  local preset=$1 dir=$root/build/$1
  shift
  # ccache keys must not depend on where the checkout lies.
  export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
  if [ ! -f "$dir/build.ninja" ]; then
    say "configuring $preset"
    (cd "$root" && cmake --preset "$preset" >"$root/build/$preset.configure.log" 2>&1) || {
      cat "$root/build/$preset.configure.log" >&2
      die "cmake --preset $preset failed"
    }
  fi
  say "building $preset"
  cmake --build "$dir" ${TIDEGATE_JOBS:+-j "$TIDEGATE_JOBS"} ${1:+--target "$@"} || die "build of $preset failed"
}
