# fish completion for cb(1)
#
# Made from src/cli.rs and src/paperwork/cb.fish.in; after a change there,
# 'CB_BLESS=1 cargo test --bin cb paperwork' writes this file anew.

# Whether the word $argv[2] is an option of the subcommand $argv[1] whose value is the next word.
function __cb_takes_next
    set -l letters q v h
    set -l valued --state-dir --config
    switch $argv[1]
        case ''
            set -a letters V
        case run
            set -a letters p f
            set -a valued -n --name --threshold --failure-rate --window \
                --min-calls --slow-after --slow-rate --failure-budget \
                --trip-codes --cooldown --backoff --max-cooldown \
                --backoff-reset --jitter --ramp --probes --probe-successes \
                --probe-failures --lease --max-retry-after --success-codes \
                --failure-codes --ignore-codes --healthy-after --timeout \
                --probe-timeout -k --kill-after -s --signal -E \
                --open-exit-code --failure-output --fallback --fallback-on \
                --on-change --on-state-error
        case check
            set -a valued -E --open-exit-code
        case trip
            set -a valued --for --until --reason
        case disable
            set -a valued --for --until --reason
        case remove
            set -a valued --unused
        case allow
            set -a valued --threshold --failure-rate --window --min-calls \
                --slow-after --slow-rate --failure-budget --trip-codes \
                --cooldown --backoff --max-cooldown --backoff-reset --jitter \
                --ramp --probes --probe-successes --probe-failures --lease \
                --max-retry-after --success-codes --failure-codes \
                --ignore-codes -E --open-exit-code
        case record
            set -a valued --exit-code --http-status --retry-after --reason \
                --permit --took --threshold --failure-rate --window \
                --min-calls --slow-after --slow-rate --failure-budget \
                --trip-codes --cooldown --backoff --max-cooldown \
                --backoff-reset --jitter --ramp --probes --probe-successes \
                --probe-failures --lease --max-retry-after --success-codes \
                --failure-codes --ignore-codes
    end
    # Skip the flags at the front of a cluster, as in -qn NAME.
    contains -- (string replace -r -- "^-["(string join "" $letters)"]+(?=.)" - $argv[2]) $valued
end

# Reads the words before the cursor. Prints four lines: the subcommand, the number of operands after it, the state
# directory, and the index of the word that begins the command to run. A missing part is an empty line.
function __cb_line
    set -l words (commandline -opc)
    set -l subcommand ''
    set -l operands 0
    set -l state_dir ''
    set -l command ''
    set -l option ''
    set -l ended ''
    set -l index 1
    set -e words[1]
    for word in $words
        set index (math $index + 1)
        if test -n "$option"
            test $option = --state-dir
            and set state_dir $word
            set option ''
        else if test -z "$ended"; and test "$word" = --
            set ended yes
        else if test -z "$ended"; and string match -qr -- '^-.' $word
            if string match -qr -- '^--state-dir=' $word
                set state_dir (string replace -- --state-dir= '' $word)
            else if __cb_takes_next "$subcommand" $word
                set option $word
            end
        else if test -z "$subcommand"
            set subcommand $word
        else
            set operands (math $operands + 1)
            if test $subcommand = run
                set command $index
                break
            end
        end
    end
    string join \n -- $subcommand $operands $state_dir $command
end

# Whether the cursor is after the subcommand $argv[1] and, where $argv[2] is given, after so many operands.
function __cb_at
    set -l line (__cb_line)
    test "$line[1]" = "$argv[1]"
    and contains -- "$argv[2]" '' $line[2]
end

# Whether the options of all subcommands can stand at the cursor.
function __cb_common
    set -l line (__cb_line)
    test -z "$line[4]"
    and not contains -- "$line[1]" help
end

# Prints the breakers in the state directory that cb itself would use, without starting a process.
function __cb_breakers
    set -l line (__cb_line)
    set -l directory $line[3]
    if test -n "$directory"
        # It may begin with a tilde or a variable, as the line has it.
        if string match -qr -- '^\$(?<variable>\w+)(?<rest>.*)$' $directory
            set directory $$variable$rest
        else if string match -qr -- '^~(?<rest>(/.*)?)$' $directory
            set -l home ~
            set directory $home$rest
        end
    else if test -n "$CB_STATE_DIR"
        set directory $CB_STATE_DIR
    else if string match -q -- '/*' "$XDG_CACHE_HOME"
        set directory $XDG_CACHE_HOME/cb
    else
        set directory ~/.cache/cb
    end
    set -l files $directory/*.json
    printf '%s\n' $files | string match -rg -- '/([A-Za-z0-9][A-Za-z0-9._@:+-]*)\.json$'
end

# Prints the directories that the value at the cursor may be.
function __cb_directories
    __fish_complete_directories (string replace -r -- '^-[^=]*=' '' "$(commandline -ct)")
end

# Completes the command for cb to run as if the line began with it.
function __cb_command
    set -l start (__cb_line)[4]
    set -l words (commandline -opc)
    set -l text "$(commandline -ct)"
    if test -n "$start"
        set text (string join ' ' -- (string escape -- $words[$start..-1]) "$text")
    else if string match -q -- '-*' "$text"
        return
    end
    complete -C "$text"
end

# Offer files only where they are meant.
complete -c cb -f

complete -c cb -n '__cb_at ""' -a run -d 'Run a command, if the breaker lets it'
complete -c cb -n '__cb_at ""' -a status -d 'Show breakers: state, failures, time to the next try'
complete -c cb -n '__cb_at ""' -a check -d 'Ask whether runs would be let through now: exit 0 yes, 75 no'
complete -c cb -n '__cb_at ""' -a history -d 'Show the last changes of state: when, from, to, why, who'
complete -c cb -n '__cb_at ""' -a reset -d 'Close breakers, clear their counters and end any hold'
complete -c cb -n '__cb_at ""' -a trip -d 'Open breakers by hand and hold them open'
complete -c cb -n '__cb_at ""' -a disable -d 'Let every run through, and judge none, until cb enable'
complete -c cb -n '__cb_at ""' -a enable -d 'End cb disable'
complete -c cb -n '__cb_at ""' -a remove -d 'Forget breakers, with all that was counted'
complete -c cb -n '__cb_at ""' -a allow -d 'Ask first, for what cb cannot start: print a permit, or exit 75'
complete -c cb -n '__cb_at ""' -a record -d 'Report a result, after cb allow or as seen elsewhere'
complete -c cb -n '__cb_at ""' -a metrics -d 'Print the metrics of all breakers for Prometheus'
complete -c cb -n '__cb_at ""' -a config -d 'Show the settings in force and where each comes from'
complete -c cb -n '__cb_at ""' -a help -d 'Print this message or the help of the given subcommand(s)'

complete -c cb -n '__cb_common' -l state-dir -x -a '(__cb_directories)' -d 'Where the state is'
complete -c cb -n '__cb_common' -l config -r -F -d 'Where the settings are'
complete -c cb -n '__cb_common' -s q -l quiet -d 'Print only errors and warnings of unguarded runs'
complete -c cb -n '__cb_common' -s v -l verbose -d 'Also tell of refusals, probes and other remarks, as on a terminal'
complete -c cb -n '__cb_common' -s h -l help -d 'Print help'

complete -c cb -n '__cb_at ""' -s V -l version -d 'Print version'

complete -c cb -n '__cb_at run 0' -s n -l name -x -a '(__cb_breakers)' -d 'The breaker: one name for each service that can fail by itself'
complete -c cb -n '__cb_at run 0' -l threshold -x -d 'Open after N failures in a row; 0 switches this off'
complete -c cb -n '__cb_at run 0' -l failure-rate -x -d 'Open when PCT per cent of the results in the window are failures'
complete -c cb -n '__cb_at run 0' -l window -x -d 'The window of the rates: the last N results, or the results of the last DURATION'
complete -c cb -n '__cb_at run 0' -l min-calls -x -d 'Judge rates only once N results are in the window'
complete -c cb -n '__cb_at run 0' -l slow-after -x -d 'A run that takes this long is slow; a slow probe fails'
complete -c cb -n '__cb_at run 0' -l slow-rate -x -d 'Open when PCT per cent of the results in the window were slow (needs --slow-after)'
complete -c cb -n '__cb_at run 0' -l failure-budget -x -d 'Open after N failures within DURATION, whatever succeeds between them (3/1h)'
complete -c cb -n '__cb_at run 0' -l trip-codes -x -d 'Open at once on these, which are failures: exit codes, ranges, signals, timeout (22,64-78,SIGTERM,timeout)'
complete -c cb -n '__cb_at run 0' -l cooldown -x -d 'How long it stays open before a probe is let through'
complete -c cb -n '__cb_at run 0' -l backoff -x -d 'Multiply the cool-down by this with each reopening in a row, 1 to 100'
complete -c cb -n '__cb_at run 0' -l max-cooldown -x -d 'How long the cool-down may grow'
complete -c cb -n '__cb_at run 0' -l backoff-reset -x -d 'Let the cool-down begin anew only once it has stayed closed this long'
complete -c cb -n '__cb_at run 0' -l jitter -x -d 'Lengthen each cool-down at random by up to PCT per cent'
complete -c cb -n '__cb_at run 0' -l ramp -x -d 'Once it has closed, let runs in step by step, a growing share of them, over this long'
complete -c cb -n '__cb_at run 0' -l probes -x -d 'How many probes may run at once, in all processes, 1 to 16'
complete -c cb -n '__cb_at run 0' -l probe-successes -x -d 'Close after N probes have succeeded'
complete -c cb -n '__cb_at run 0' -l probe-failures -x -d 'Open again after N probes have failed'
complete -c cb -n '__cb_at run 0' -l lease -x -d 'Give a probe\'s place away after this long'
complete -c cb -n '__cb_at run 0' -l max-retry-after -x -d 'Stay away at most this long because a run says so: Retry-After, or its own cb trip'
complete -c cb -n '__cb_at run 0' -l success-codes -x -d 'These count as success, as 0 does: exit codes, ranges, signals, timeout (22,64-78)'
complete -c cb -n '__cb_at run 0' -l failure-codes -x -d 'These count as failure, beside --timeout; any other exit but 0, and any signal, then counts as nothing'
complete -c cb -n '__cb_at run 0' -l ignore-codes -x -d 'These count as nothing, as 75, 125-127, SIGINT and SIGPIPE do'
complete -c cb -n '__cb_at run 0' -l count-stopped -a 'true false' -d 'A run that a limit from outside ends, by TERM or KILL of cb, is a failure and not nothing'
complete -c cb -n '__cb_at run 0' -l healthy-after -x -d 'A command that still runs after this long is a success at that moment, however it ends'
complete -c cb -n '__cb_at run 0' -l timeout -x -d 'End the command after this long, which is a failure; cb exits 124'
complete -c cb -n '__cb_at run 0' -l probe-timeout -x -d 'End a probe after this long, in place of --timeout; 0 is no limit'
complete -c cb -n '__cb_at run 0' -s k -l kill-after -x -d 'Send KILL this long after the signal; cb exits 137'
complete -c cb -n '__cb_at run 0' -s s -l signal -x -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS' -d 'The signal that ends the command'
complete -c cb -n '__cb_at run 0' -s p -d 'Exit with the command\'s own status even when its time was over'
complete -c cb -n '__cb_at run 0' -l preserve-status -a 'true false' -d 'Exit with the command\'s own status even when its time was over'
complete -c cb -n '__cb_at run 0' -s f -d 'Keep the command in the caller\'s process group and signal it alone'
complete -c cb -n '__cb_at run 0' -l foreground -a 'true false' -d 'Keep the command in the caller\'s process group and signal it alone'
complete -c cb -n '__cb_at run 0' -s E -l open-exit-code -x -d 'Exit with this code when refused, 0 to 255'
complete -c cb -n '__cb_at run 0' -l failure-output -x -d 'A line of its output that REGEX matches makes it a failure; the command then sees no terminal'
complete -c cb -n '__cb_at run 0' -l http -d 'Judge by the HTTP answer whose headers the command writes to descriptor 3, or N from 3 to 9 (note the =), as curl -D /dev/fd/3 does: 408, 429 and 5xx are failures, and Retry-After opens at once'
complete -c cb -n '__cb_at run 0' -l fallback -x -d 'Run this with \'sh -c\' when refused, under --timeout too, and exit as it does'
complete -c cb -n '__cb_at run 0' -l fallback-on -x -a 'refused failure' -d 'When to run it: refused, or failure, which is also after a run that counts as failure'
complete -c cb -n '__cb_at run 0' -l observe -a 'true false' -d 'Decide and count, but run the command even if refused: its result then counts as late'
complete -c cb -n '__cb_at run 0' -l on-change -x -d 'Run this with \'sh -c\' when the breaker opens from closed, closes, or is changed by hand'
complete -c cb -n '__cb_at run 0' -l on-state-error -x -a 'run refuse' -d 'When the state cannot be used: run the command unguarded, or refuse with 125'
complete -c cb -n '__cb_at run 0' -l wait -d 'Wait where the run would be refused, at most this long (note the =)'
complete -c cb -n '__cb_at run' -a '(__cb_command)'

complete -c cb -n '__cb_at status' -l json -d 'Print JSON, stable and append-only'
complete -c cb -n '__cb_at status' -l watch -d 'Look again each second, until Ctrl-C'
complete -c cb -n '__cb_at status' -a '(__cb_breakers)'

complete -c cb -n '__cb_at check' -l all -d 'All breakers'
complete -c cb -n '__cb_at check' -l any -d 'Say yes if one of them would let a run through, and print the first that would'
complete -c cb -n '__cb_at check' -l wait -d 'Wait until the answer is yes, at most this long (note the =)'
complete -c cb -n '__cb_at check' -l json -d 'Print them as cb status --json does, whatever the answer; with --any the one that lets runs through, or all'
complete -c cb -n '__cb_at check' -s E -l open-exit-code -x -d 'Exit with this code when refused, 0 to 255'
complete -c cb -n '__cb_at check' -a '(__cb_breakers)'

complete -c cb -n '__cb_at history' -l json -d 'Print JSON, stable and append-only'
complete -c cb -n '__cb_at history' -a '(__cb_breakers)'

complete -c cb -n '__cb_at reset' -l all -d 'All breakers'
complete -c cb -n '__cb_at reset' -a '(__cb_breakers)'

complete -c cb -n '__cb_at trip' -l all -d 'All breakers'
complete -c cb -n '__cb_at trip' -l for -x -d 'For how long, at most 366 days'
complete -c cb -n '__cb_at trip' -l until -x -d 'Until when: 2026-01-02T15:04:05Z or with an offset, a Unix time, or HH:MM of local clocks'
complete -c cb -n '__cb_at trip' -l replace -d 'Replace the present hold, even if the new one ends sooner'
complete -c cb -n '__cb_at trip' -l reason -x -d 'Why, for those who look at cb status'
complete -c cb -n '__cb_at trip' -a '(__cb_breakers)'

complete -c cb -n '__cb_at disable' -l all -d 'All breakers'
complete -c cb -n '__cb_at disable' -l for -x -d 'For how long, at most 366 days'
complete -c cb -n '__cb_at disable' -l until -x -d 'Until when: 2026-01-02T15:04:05Z or with an offset, a Unix time, or HH:MM of local clocks'
complete -c cb -n '__cb_at disable' -l replace -d 'Replace the present hold, even if the new one ends sooner'
complete -c cb -n '__cb_at disable' -l reason -x -d 'Why, for those who look at cb status'
complete -c cb -n '__cb_at disable' -a '(__cb_breakers)'

complete -c cb -n '__cb_at enable' -l all -d 'All breakers'
complete -c cb -n '__cb_at enable' -a '(__cb_breakers)'

complete -c cb -n '__cb_at remove' -l all -d 'All breakers'
complete -c cb -n '__cb_at remove' -l unused -x -d 'All without a result or a change for this long that let runs through or would, and that nobody holds or disabled'
complete -c cb -n '__cb_at remove' -a '(__cb_breakers)'

complete -c cb -n '__cb_at allow' -l json -d 'Print JSON: the permit, or why it is refused and until when'
complete -c cb -n '__cb_at allow' -l threshold -x -d 'Open after N failures in a row; 0 switches this off'
complete -c cb -n '__cb_at allow' -l failure-rate -x -d 'Open when PCT per cent of the results in the window are failures'
complete -c cb -n '__cb_at allow' -l window -x -d 'The window of the rates: the last N results, or the results of the last DURATION'
complete -c cb -n '__cb_at allow' -l min-calls -x -d 'Judge rates only once N results are in the window'
complete -c cb -n '__cb_at allow' -l slow-after -x -d 'A run that takes this long is slow; a slow probe fails'
complete -c cb -n '__cb_at allow' -l slow-rate -x -d 'Open when PCT per cent of the results in the window were slow (needs --slow-after)'
complete -c cb -n '__cb_at allow' -l failure-budget -x -d 'Open after N failures within DURATION, whatever succeeds between them (3/1h)'
complete -c cb -n '__cb_at allow' -l trip-codes -x -d 'Open at once on these, which are failures: exit codes, ranges, signals, timeout (22,64-78,SIGTERM,timeout)'
complete -c cb -n '__cb_at allow' -l cooldown -x -d 'How long it stays open before a probe is let through'
complete -c cb -n '__cb_at allow' -l backoff -x -d 'Multiply the cool-down by this with each reopening in a row, 1 to 100'
complete -c cb -n '__cb_at allow' -l max-cooldown -x -d 'How long the cool-down may grow'
complete -c cb -n '__cb_at allow' -l backoff-reset -x -d 'Let the cool-down begin anew only once it has stayed closed this long'
complete -c cb -n '__cb_at allow' -l jitter -x -d 'Lengthen each cool-down at random by up to PCT per cent'
complete -c cb -n '__cb_at allow' -l ramp -x -d 'Once it has closed, let runs in step by step, a growing share of them, over this long'
complete -c cb -n '__cb_at allow' -l probes -x -d 'How many probes may run at once, in all processes, 1 to 16'
complete -c cb -n '__cb_at allow' -l probe-successes -x -d 'Close after N probes have succeeded'
complete -c cb -n '__cb_at allow' -l probe-failures -x -d 'Open again after N probes have failed'
complete -c cb -n '__cb_at allow' -l lease -x -d 'Give a probe\'s place away after this long'
complete -c cb -n '__cb_at allow' -l max-retry-after -x -d 'Stay away at most this long because a run says so: Retry-After, or its own cb trip'
complete -c cb -n '__cb_at allow' -l success-codes -x -d 'These count as success, as 0 does: exit codes, ranges, signals, timeout (22,64-78)'
complete -c cb -n '__cb_at allow' -l failure-codes -x -d 'These count as failure, beside --timeout; any other exit but 0, and any signal, then counts as nothing'
complete -c cb -n '__cb_at allow' -l ignore-codes -x -d 'These count as nothing, as 75, 125-127, SIGINT and SIGPIPE do'
complete -c cb -n '__cb_at allow' -s E -l open-exit-code -x -d 'Exit with this code when refused, 0 to 255'
complete -c cb -n '__cb_at allow 0' -a '(__cb_breakers)'

complete -c cb -n '__cb_at record' -l exit-code -x -d 'Judge an exit status instead, as the shell has it in $?: 129 to 192 mean a signal'
complete -c cb -n '__cb_at record' -l http-status -x -d 'Judge the status of an HTTP answer, alone or before an exit status; beside an OUTCOME it is only noted'
complete -c cb -n '__cb_at record' -l retry-after -x -d 'For how long the service asked to be left alone: the breaker opens at once, at most for --max-retry-after'
complete -c cb -n '__cb_at record' -l reason -x -d 'Why, for those who look, should it open the breaker'
complete -c cb -n '__cb_at record' -l permit -x -d 'The permit that cb allow printed'
complete -c cb -n '__cb_at record' -l took -x -d 'How long the work took'
complete -c cb -n '__cb_at record' -l threshold -x -d 'Open after N failures in a row; 0 switches this off'
complete -c cb -n '__cb_at record' -l failure-rate -x -d 'Open when PCT per cent of the results in the window are failures'
complete -c cb -n '__cb_at record' -l window -x -d 'The window of the rates: the last N results, or the results of the last DURATION'
complete -c cb -n '__cb_at record' -l min-calls -x -d 'Judge rates only once N results are in the window'
complete -c cb -n '__cb_at record' -l slow-after -x -d 'A run that takes this long is slow; a slow probe fails'
complete -c cb -n '__cb_at record' -l slow-rate -x -d 'Open when PCT per cent of the results in the window were slow (needs --slow-after)'
complete -c cb -n '__cb_at record' -l failure-budget -x -d 'Open after N failures within DURATION, whatever succeeds between them (3/1h)'
complete -c cb -n '__cb_at record' -l trip-codes -x -d 'Open at once on these, which are failures: exit codes, ranges, signals, timeout (22,64-78,SIGTERM,timeout)'
complete -c cb -n '__cb_at record' -l cooldown -x -d 'How long it stays open before a probe is let through'
complete -c cb -n '__cb_at record' -l backoff -x -d 'Multiply the cool-down by this with each reopening in a row, 1 to 100'
complete -c cb -n '__cb_at record' -l max-cooldown -x -d 'How long the cool-down may grow'
complete -c cb -n '__cb_at record' -l backoff-reset -x -d 'Let the cool-down begin anew only once it has stayed closed this long'
complete -c cb -n '__cb_at record' -l jitter -x -d 'Lengthen each cool-down at random by up to PCT per cent'
complete -c cb -n '__cb_at record' -l ramp -x -d 'Once it has closed, let runs in step by step, a growing share of them, over this long'
complete -c cb -n '__cb_at record' -l probes -x -d 'How many probes may run at once, in all processes, 1 to 16'
complete -c cb -n '__cb_at record' -l probe-successes -x -d 'Close after N probes have succeeded'
complete -c cb -n '__cb_at record' -l probe-failures -x -d 'Open again after N probes have failed'
complete -c cb -n '__cb_at record' -l lease -x -d 'Give a probe\'s place away after this long'
complete -c cb -n '__cb_at record' -l max-retry-after -x -d 'Stay away at most this long because a run says so: Retry-After, or its own cb trip'
complete -c cb -n '__cb_at record' -l success-codes -x -d 'These count as success, as 0 does: exit codes, ranges, signals, timeout (22,64-78)'
complete -c cb -n '__cb_at record' -l failure-codes -x -d 'These count as failure, beside --timeout; any other exit but 0, and any signal, then counts as nothing'
complete -c cb -n '__cb_at record' -l ignore-codes -x -d 'These count as nothing, as 75, 125-127, SIGINT and SIGPIPE do'
complete -c cb -n '__cb_at record 0' -a '(__cb_breakers)'
complete -c cb -n '__cb_at record 1' -a 'success failure ignored'

complete -c cb -n '__cb_at config' -l json -d 'Print JSON'
complete -c cb -n '__cb_at config 0' -a '(__cb_breakers)'

complete -c cb -n '__cb_at help 0' -a 'run status check history reset trip disable enable remove allow record metrics config help'
