# bash completion for tidegate
_tidegate() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words
  case $previous in
    --print-* | --version | -v | --help | -h) return ;;
  esac
  case ${COMP_WORDS[1]} in
    import | export | check | rdb-report)
      if [ "$COMP_CWORD" -gt 1 ]; then
        case $current in
          -*)
            words="--help --dir --to-rdb --to-aof --to-server --redis --skip-modules --databases --user --password-file"
            [ "${COMP_WORDS[1]}" != rdb-report ] ||
              words="--help --live --to-csv --prefixes-csv --separator --depth --bytes-min --sizes --user --password-file"
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
            ;;
          *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac
        return
      fi
      ;;
  esac
  case $current in
    -*)
      # The program knows its settings: "| `name`, `alias` | …" in its reference.
      words=$("$1" --print-options-doc 2>/dev/null | sed -nE '/\| (yes|no|protected) \| (top|engine|listeners|admin) /s/^\| `([a-z][a-z0-9_-]*)`.*/--\1/p')
      mapfile -t COMPREPLY < <(compgen -W "$words --check-config --ping --print-default-config --print-options-doc --print-metrics-doc --version --help" -- "$current")
      ;;
    *)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      [ "$COMP_CWORD" != 1 ] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "import export check rdb-report" -- "$current")
      ;;
  esac
}
complete -o filenames -F _tidegate tidegate
