# bash completion for cb(1)                                -*- shell-script -*-
#
# Made from src/cli.rs and src/paperwork/cb.bash.in; after a change there,
# 'CB_BLESS=1 cargo test --bin cb paperwork' writes this file anew.
#
# For bash 4.0 and later, with or without the package bash-completion. Breakers
# are found by their state files; no process is started for them.

# Sets the options of the subcommand $1: those without a value (flags), and
# those whose value is the next word (valued).
__cb_options() {
    flags=(-q --quiet -v --verbose -h --help)
    valued=(--state-dir --config)
    case $1 in
        '')
            flags+=(-V --version)
            ;;
        run)
            flags+=(--count-stopped -p --preserve-status -f --foreground --http
                --observe --wait)
            valued+=(-n --name --threshold --failure-rate --window --min-calls
                --slow-after --slow-rate --failure-budget --trip-codes
                --cooldown --backoff --max-cooldown --backoff-reset --jitter
                --ramp --probes --probe-successes --probe-failures --lease
                --max-retry-after --success-codes --failure-codes --ignore-codes
                --healthy-after --timeout --probe-timeout -k --kill-after -s
                --signal -E --open-exit-code --failure-output --fallback
                --fallback-on --on-change --on-state-error)
            ;;
        status)
            flags+=(--json --watch)
            ;;
        check)
            flags+=(--all --any --wait --json)
            valued+=(-E --open-exit-code)
            ;;
        history)
            flags+=(--json)
            ;;
        reset)
            flags+=(--all)
            ;;
        trip)
            flags+=(--all --replace)
            valued+=(--for --until --reason)
            ;;
        disable)
            flags+=(--all --replace)
            valued+=(--for --until --reason)
            ;;
        enable)
            flags+=(--all)
            ;;
        remove)
            flags+=(--all)
            valued+=(--unused)
            ;;
        allow)
            flags+=(--json)
            valued+=(--threshold --failure-rate --window --min-calls
                --slow-after --slow-rate --failure-budget --trip-codes
                --cooldown --backoff --max-cooldown --backoff-reset --jitter
                --ramp --probes --probe-successes --probe-failures --lease
                --max-retry-after --success-codes --failure-codes --ignore-codes
                -E --open-exit-code)
            ;;
        record)
            valued+=(--exit-code --http-status --retry-after --reason --permit
                --took --threshold --failure-rate --window --min-calls
                --slow-after --slow-rate --failure-budget --trip-codes
                --cooldown --backoff --max-cooldown --backoff-reset --jitter
                --ramp --probes --probe-successes --probe-failures --lease
                --max-retry-after --success-codes --failure-codes --ignore-codes)
            ;;
        config)
            flags+=(--json)
            ;;
        help)
            flags=()
            valued=()
            ;;
    esac
}

# Offers the values of the option $2 of the subcommand $1.
__cb_value() {
    case "$1 $2" in
        *' --state-dir')
            compopt -o dirnames
            ;;
        *' --config')
            compopt -o default
            ;;
        'run -n' | 'run --name')
            __cb_breakers
            ;;
        'run --count-stopped' | 'run -p' | 'run --preserve-status' | 'run -f' | 'run --foreground' | 'run --observe')
            __cb_offer true false
            ;;
        'run -s' | 'run --signal')
            __cb_offer HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 \
                PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU \
                XFSZ VTALRM PROF WINCH IO PWR SYS
            ;;
        'run --fallback-on')
            __cb_offer refused failure
            ;;
        'run --on-state-error')
            __cb_offer run refuse
            ;;
    esac
}

# Offers the next operand of the subcommand $1, after the first $2 of them.
__cb_operand() {
    case "$1 $2" in
        ' 0' | 'help 0')
            __cb_offer run status check history reset trip disable enable \
                remove allow record metrics config help
            ;;
        'status '* | 'check '* | 'history '* | 'reset '* | 'trip '* | 'disable '* | 'enable '* | 'remove '* | 'allow 0' | 'record 0' | 'config 0')
            __cb_breakers
            ;;
        'record 1')
            __cb_offer success failure ignored
            ;;
    esac
}

# Offers the words that begin with $value. Readline replaces only $typed, which
# is less than $value after a word break (at = : @), and more as in -nNAME.
__cb_offer() {
    local word
    for word; do
        if [[ $word != "$value"* ]]; then
            continue
        elif [[ $value == *"$typed" ]]; then
            COMPREPLY+=("${word#"${value%"$typed"}"}")
        else
            COMPREPLY+=("${typed%"$value"}$word")
        fi
    done
}

# Offers the breakers in the state directory that cb itself would use.
__cb_breakers() {
    local directory=$state_dir file name failglob=-u
    if [[ $directory == *[\`\(\;\&\|\<\>]* ]]; then
        return # Nothing that stands on the line is run.
    elif [[ $directory ]]; then
        # It may have quotes, a tilde or a variable, as the line has it.
        eval "directory=$directory" 2>/dev/null || return
    elif [[ ${CB_STATE_DIR-} ]]; then
        directory=$CB_STATE_DIR
    elif [[ ${XDG_CACHE_HOME-} == /* ]]; then
        directory=$XDG_CACHE_HOME/cb
    else
        directory=~/.cache/cb
    fi
    shopt -q failglob && failglob=-s
    shopt -u failglob
    for file in "$directory/$value"*.json; do
        name=${file##*/}
        name=${name%.json}
        # Skip other files, and the pattern itself where nothing matches it.
        if [[ $name == [A-Za-z0-9]* && $name != *[!A-Za-z0-9._@:+-]* ]]; then
            __cb_offer "$name"
        fi
    done
    shopt "$failglob" failglob
}

# Splits the option word $1: sets option, and value if one is attached.
__cb_split() {
    local word=$1
    attached=
    case $word in
        --*=*)
            option=${word%%=*}
            value=${word#*=}
            attached=yes
            ;;
        --*)
            option=$word
            ;;
        *)
            # Skip the flags at the front of a cluster, as in -qnNAME.
            while [[ $word == -?[!=]* && " ${flags[*]} " == *" ${word:0:2} "* ]]; do
                word=-${word:2}
            done
            option=${word:0:2}
            if [[ $word == -??* ]]; then
                value=${word:2}
                value=${value#=}
                attached=yes
            fi
            ;;
    esac
}

# Completes the arguments of cb itself. If the cursor is in the command for cb to
# run, instead sets command to its index in COMP_WORDS and start to its place in
# COMP_LINE.
__cb_complete() {
    local IFS=$' \t\n' typed=$1
    local flags=() valued=() subcommand='' state_dir='' option='' value='' attached ended='' operands=0
    local rest=${COMP_LINE:0:COMP_POINT} space words=() indices=() starts=() word i last

    # Bash breaks words at = : and @ too: join what stands together on the line.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        space=${rest%%[![:space:]]*}
        rest=${rest#"$space"}
        if ((i == COMP_CWORD)) && [[ $word == "$rest"* ]]; then
            word=$rest # Only up to the cursor.
        fi
        if [[ $i == 0 || $space ]] || [[ $word != +([=:@]) && ${COMP_WORDS[i - 1]} != +([=:@]) ]]; then
            words+=("$word")
            indices+=("$i")
            starts+=("$((COMP_POINT - ${#rest}))")
        else
            words[${#words[@]} - 1]+=$word
        fi
        rest=${rest#"$word"}
    done
    last=$((${#words[@]} - 1))

    __cb_options ''
    for ((i = 1; i <= last; i++)); do
        word=${words[i]}
        if [[ $option ]]; then
            # The word is the value of the option before it.
            if ((i == last)); then
                value=${word#[\'\"]}
                __cb_value "$subcommand" "$option"
                return
            elif [[ $option == --state-dir ]]; then
                state_dir=$word
            fi
            option=
        elif [[ ! $ended && $word == -* ]] && ((i == last)); then
            __cb_split "$word"
            if [[ $attached ]]; then
                value=${value#[\'\"]}
                __cb_value "$subcommand" "$option"
            else
                value=$word
                __cb_offer "${flags[@]}" "${valued[@]}"
            fi
        elif [[ ! $ended && $word == -- ]]; then
            ended=yes
        elif [[ ! $ended && $word == -?* ]]; then
            __cb_split "$word"
            if [[ $attached ]]; then
                if [[ $option == --state-dir ]]; then
                    state_dir=$value
                fi
                option=
            elif [[ " ${valued[*]} " != *" $option "* ]]; then
                option=
            fi
        elif [[ $subcommand == run ]]; then
            command=${indices[i]}
            start=${starts[i]}
            return
        elif ((i == last)); then
            value=${word#[\'\"]}
            __cb_operand "$subcommand" "$operands"
        elif [[ $subcommand ]]; then
            operands=$((operands + 1))
        else
            subcommand=$word
            __cb_options "$subcommand"
        fi
    done
}

# Completes the command at COMP_WORDS[$1], at $2 in COMP_LINE, as if the line
# began there.
__cb_hand_over() {
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
        return
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
        return
    fi

    # Without bash-completion, use what `complete -p` knows about the command.
    COMP_LINE=${COMP_LINE:$2}
    COMP_POINT=$((COMP_POINT - $2))
    COMP_WORDS=("${COMP_WORDS[@]:$1}")
    COMP_CWORD=$((COMP_CWORD - $1))
    local name=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} told actions=() called=''
    if ((COMP_CWORD == 0)); then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -c -- "$word")
        return
    fi
    told=$({ complete -p -- "$name" || complete -p -- "${name##*/}" || echo '-o bashdefault -o default -'; } 2>/dev/null)
    eval "set -- ${told#complete }"
    while (($# > 1)); do
        case $1 in
            -o)
                compopt -o "$2"
                shift
                ;;
            -F)
                called=$2
                shift
                ;;
            -[ACGPSWX])
                actions+=("$1" "$2")
                shift
                ;;
            *)
                actions+=("$1")
                ;;
        esac
        shift
    done
    if [[ $called ]]; then
        "$called" "$name" "$word" "${COMP_WORDS[COMP_CWORD - 1]}"
    else
        mapfile -t COMPREPLY < <(compgen "${actions[@]}" -- "$word" 2>/dev/null)
    fi
}

_cb() {
    local command='' start=0
    COMPREPLY=()
    __cb_complete "$2"
    if [[ $command ]]; then
        __cb_hand_over "$command" "$start"
    fi
}

complete -F _cb cb
