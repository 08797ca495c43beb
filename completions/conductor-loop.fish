# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_conductor_loop_global_optspecs
    string join \n handoff= porch= mode= out= once= debounce= period= workers= timeout= grace-period= max-attempts= rate= max-file-size= pattern= retention= state-dir= state-key-file= audit-enabled= backup-dir= backup-interval= backup-keep= backup-recipient= encryption-enabled= listen= health-addr= metrics-addr= insecure-listen= tls-cert= tls-key= tls-client-ca= token-file= open-page= kubernetes= instance= kubeconfig= allow-scale-to-zero= allow-unsafe-handoff= allow-unsafe-porch= log-level= log-format= confine= security-enabled= porch-read= porch-write= egress= limit-memory= limit-cpu= limit-processes= limit-files= limit-file-size= min-free= user= porch-user= chroot-enabled= config= h/help V/version
end

function __fish_conductor_loop_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_conductor_loop_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_conductor_loop_using_subcommand
    set -l cmd (__fish_conductor_loop_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l porch -d 'Executable, or \'builtin\' for the embedded engine [porch]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l mode -d 'direct or structured [direct]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l out -d 'Where porch writes [./out]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l once -d 'Process the waiting files, drain, exit' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l debounce -d 'Quiet time before a file is taken, 0 to 1h [500ms]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l period -d 'Rescan interval; 0: events only; auto: 2s where events fail, else 10s [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l workers -d 'Concurrent porch runs, 1 to 64 [2]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l timeout -d 'Time limit of one run [30s]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l grace-period -d 'From TERM to KILL, and for running porches at shutdown [5s]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l max-attempts -d 'Starts per intent, for retryable endings and interrupted runs [3]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l rate -d 'Intents per second (burst 2 x), excess waits; off: no limit [off]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l max-file-size -d 'Largest intent file (1MB = 1048576 bytes) [10MB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l retention -d 'How long files and records are kept, 1h to 720h [168h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l listen -d 'Serve page, metrics and health there; off if absent (OPERATIONS.md)' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l health-addr -d 'Serve health only there' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l metrics-addr -d 'Serve metrics only there' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l insecure-listen -d 'Accept addresses that are not loopback without TLS' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l tls-cert -d 'Certificate (PEM) for the endpoints: TLS 1.3 only' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l tls-key -d 'Its private key (PEM)' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l tls-client-ca -d 'Authority (PEM) that must have signed a client\'s certificate' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l token-file -d 'File with the bearer token that API and metrics ask for' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l open-page -d 'Serve page and API without a token to every client' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l kubernetes -d 'Serve health on 8080 and metrics on 9090; auto: where KUBERNETES_SERVICE_HOST is set' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l instance -d 'Name of this daemon, in each log line and metric' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l kubeconfig -d 'Passed to porch as KUBECONFIG' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l allow-scale-to-zero -d 'Accept replicas 0' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l allow-unsafe-handoff -d 'Accept a handoff directory that everybody may write' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l allow-unsafe-porch -d 'Accept a porch executable that others could replace' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l log-level -d 'off, error, warn, info, debug or trace [info]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l log-format -d 'text, json, or auto: text on a terminal, else json [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l confine -d 'Confine daemon and porch: auto, require (every part, or no start) or off [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l security-enabled -d 'The specification\'s name for it: false means --confine off' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l porch-read -d 'What porch may read and execute besides the system\'s directories' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l porch-write -d 'What porch may write besides the output and its working directory' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l egress -d 'Where porch may connect by TCP: any, none (no network at all), or ports [any]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l limit-memory -d 'Memory of a process of porch, or off [4GB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l limit-cpu -d 'CPU time of a process of porch, or off [1h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l limit-processes -d 'Processes and threads of porch\'s user, or off; not for root [4096]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l limit-files -d 'Open files of a process of porch, or off [4096]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l limit-file-size -d 'Largest file that porch may write, or off [4GB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l min-free -d 'Free space for packages below which nothing starts; auto: 1MB [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l user -d 'User that a start as root switches to first: name or number' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l porch-user -d 'Separate user for an external porch; needs a start as root' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l chroot-enabled -d 'Own root directory (chroot); needs a start as root' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -s V -l version -d 'Print version'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "status" -d 'The daemon\'s status, waiting intents and totals'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "health" -d 'Exit 0 if the daemon runs and takes files, else 1: for container probes'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "list" -d 'Intents: unfinished ones in their order, then finished ones, newest first'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "show" -d 'Everything about one intent: timeline, change of the package, output, error log'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "explain" -d 'The one reason why an intent waits or failed, and the remedy'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "retry" -d 'Hands failed intents in again, byte for byte; exit 0, or 1 if one could not be handed in'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "hold" -d 'Starts no intent of a target, or none at all, until it is released; a current run continues'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "release" -d 'Ends a hold'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "cancel" -d 'Ends intents that wait: each is filed as a failure and not run'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "purge" -d 'Removes old outcomes with their files; without --yes only lists them'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "logs" -d 'The daemon\'s last log lines'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "top" -d 'Live view on a terminal: q quits'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "submit" -d 'Hands intents in: temporary file, fsync, rename into the handoff directory'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "wait" -d 'Waits until intents are done or failed; exit 0 or 8'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "check" -d 'Judges intents as the daemon would, without handing them in; exit 0 or 8'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "plan" -d 'Shows the change of the package that the embedded engine would make; exit 0 or 8'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "state" -d 'Shows, exports, imports or rebuilds the durable state'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "keys" -d 'The root keys of the state: shows them, makes a new one, exports the public halves'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "backup" -d 'Encrypted backups: makes, lists and verifies them, and restores one'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "audit" -d 'The audit trail: shows, verifies and exports it, proves one entry'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "trace" -d 'Every audit entry of one correlation id, over all intents that carry it'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "verify" -d 'Verifies statuses, archived files and audit trail, offline; exit 0, 1 with findings, 2 if it cannot'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "config" -d 'Shows the configuration'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "doctor" -d 'Checks everything a daemon would need, with remedies; exit 0 or 1'
complete -c conductor-loop -n "__fish_conductor_loop_needs_command" -f -a "schema" -d 'Prints the JSON Schema of intents'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -s w -l watch -d 'Shows it again whenever it changes, until interrupted'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand health" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l state -d 'Only these: waiting, running, done, failed' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l target -d 'Only of this target: NAME or NAMESPACE/NAME' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l code -d 'Only failures with this code, such as E301' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l since -d 'Only since a duration ago (24h, 7d), a day (2026-01-31, yesterday) or a time (RFC 3339)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -s n -l limit -d 'At most this many, 1 to 1000 [50]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -s o -l output -d 'Form of the answer; wide: whole times and reasons; name: files alone' -r -f -a "table\t''
wide\t''
json\t''
yaml\t''
name\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -s w -l watch -d 'Shows it again whenever it changes, until interrupted'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l target -d 'Only of this target: NAME or NAMESPACE/NAME' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l code -d 'Only failures with this code, such as E301' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l since -d 'Only since a duration ago (24h, 7d), a day (2026-01-31, yesterday) or a time (RFC 3339)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l timeout -d 'How long to wait for all of them' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l failed -d 'All whose newest run failed; refused files only with --code'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l dry-run -d 'Only list them'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l wait -d 'Wait for each status and print it; exit 0 or 8'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l note -d 'The reason, for other operators' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l all -d 'Everything, whatever is held besides'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand hold" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l all -d 'Everything, whatever is held besides'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand release" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l older-than -d 'Decided before a duration ago (24h, 7d), a day or a time' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''
yaml\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l yes -d 'Really remove them'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand purge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -s n -l lines -d 'At most this many' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l of -d 'Only lines with this text, such as a file or correlation id' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -s f -l follow -d 'Continue with new lines'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l as -d 'The name of the one file in the handoff directory [its own; of standard input from its digest]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l timeout -d 'How long to wait for all of them' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l max-file-size -d 'Largest intent file (1MB = 1048576 bytes) [10MB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l no-check -d 'Hands in without judging first'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -l wait -d 'Wait for each status and print it; exit 0 or 8'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand submit" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l timeout -d 'How long to wait for all of them' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -l max-file-size -d 'Largest intent file (1MB = 1048576 bytes) [10MB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -l allow-scale-to-zero -d 'Accept replicas 0' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l mode -d 'direct or structured [direct]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l out -d 'Where porch writes [./out]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l max-file-size -d 'Largest intent file (1MB = 1048576 bytes) [10MB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l allow-scale-to-zero -d 'Accept replicas 0' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and not __fish_seen_subcommand_from show export import rebuild" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and not __fish_seen_subcommand_from show export import rebuild" -f -a "show" -d 'Path of the state, totals, unfinished intents'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and not __fish_seen_subcommand_from show export import rebuild" -f -a "export" -d 'Writes every outcome as a line of JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and not __fish_seen_subcommand_from show export import rebuild" -f -a "import" -d 'Reads an export, or the state file of the Go version'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and not __fish_seen_subcommand_from show export import rebuild" -f -a "rebuild" -d 'Rebuilds a damaged, missing or older state from its readable records and the statuses'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand state; and __fish_seen_subcommand_from rebuild" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and not __fish_seen_subcommand_from show rotate export-public" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and not __fish_seen_subcommand_from show rotate export-public" -f -a "show" -d 'The key file, and the names of its keys'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and not __fish_seen_subcommand_from show rotate export-public" -f -a "rotate" -d 'Adds a new root key to the key file; it signs from the daemon\'s next start on'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and not __fish_seen_subcommand_from show rotate export-public" -f -a "export-public" -d 'Prints the public keys in PEM, for `verify --public` and openssl'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand keys; and __fish_seen_subcommand_from export-public" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and not __fish_seen_subcommand_from now list verify restore" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and not __fish_seen_subcommand_from now list verify restore" -f -a "now" -d 'Makes one, beside a running daemon or without one, and restores it on trial'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and not __fish_seen_subcommand_from now list verify restore" -f -a "list" -d 'The backups of the directory, oldest first'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and not __fish_seen_subcommand_from now list verify restore" -f -a "verify" -d 'Restores one on trial and checks it; exit 0 or 1'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and not __fish_seen_subcommand_from now list verify restore" -f -a "restore" -d 'Puts one in the place of the state, which is kept beside it; no daemon may run'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from now" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l identity -d 'The identity (age-keygen) that it is encrypted to [that of the root key]' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l public -d 'Public keys to trust besides those beside the state (`keys export-public`)' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l identity -d 'The identity (age-keygen) that it is encrypted to [that of the root key]' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l public -d 'Public keys to trust besides those beside the state (`keys export-public`)' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand backup; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and not __fish_seen_subcommand_from show verify proof export" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and not __fish_seen_subcommand_from show verify proof export" -f -a "show" -d 'The entries; with --json the lines of the trail themselves'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and not __fish_seen_subcommand_from show verify proof export" -f -a "verify" -d 'Verifies the trail offline, without any secret; exit 0, 1 with findings, 2 if it cannot'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and not __fish_seen_subcommand_from show verify proof export" -f -a "proof" -d 'Proves that an entry is in the tree of the last checkpoint (C2SP tlog-proof)'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and not __fish_seen_subcommand_from show verify proof export" -f -a "export" -d 'Prints the whole trail, one line of JSON an entry, checkpoints included'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l since -d 'Only since a duration ago (24h, 7d), a day (2026-01-31, yesterday) or a time (RFC 3339)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l event -d 'Only of this event, such as `intent_filed`' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l correlation-id -d 'Only of this correlation id' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l public -d 'The public keys in PEM [those beside the state]' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l since -d 'A checkpoint of the audit trail from before, which it must continue' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from proof" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand audit; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l public -d 'The public keys in PEM [those beside the state]' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l since -d 'A checkpoint of the audit trail from before, which it must continue' -r -F
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and not __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and not __fish_seen_subcommand_from show" -f -a "show" -d 'Every setting, its value and its origin'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l porch -d 'Executable, or \'builtin\' for the embedded engine [porch]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l mode -d 'direct or structured [direct]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l out -d 'Where porch writes [./out]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l once -d 'Process the waiting files, drain, exit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l debounce -d 'Quiet time before a file is taken, 0 to 1h [500ms]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l period -d 'Rescan interval; 0: events only; auto: 2s where events fail, else 10s [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l workers -d 'Concurrent porch runs, 1 to 64 [2]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l timeout -d 'Time limit of one run [30s]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l grace-period -d 'From TERM to KILL, and for running porches at shutdown [5s]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l max-attempts -d 'Starts per intent, for retryable endings and interrupted runs [3]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l rate -d 'Intents per second (burst 2 x), excess waits; off: no limit [off]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l max-file-size -d 'Largest intent file (1MB = 1048576 bytes) [10MB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l retention -d 'How long files and records are kept, 1h to 720h [168h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l listen -d 'Serve page, metrics and health there; off if absent (OPERATIONS.md)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l health-addr -d 'Serve health only there' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l metrics-addr -d 'Serve metrics only there' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l insecure-listen -d 'Accept addresses that are not loopback without TLS' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l tls-cert -d 'Certificate (PEM) for the endpoints: TLS 1.3 only' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l tls-key -d 'Its private key (PEM)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l tls-client-ca -d 'Authority (PEM) that must have signed a client\'s certificate' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l token-file -d 'File with the bearer token that API and metrics ask for' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l open-page -d 'Serve page and API without a token to every client' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l kubernetes -d 'Serve health on 8080 and metrics on 9090; auto: where KUBERNETES_SERVICE_HOST is set' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l instance -d 'Name of this daemon, in each log line and metric' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l kubeconfig -d 'Passed to porch as KUBECONFIG' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l allow-scale-to-zero -d 'Accept replicas 0' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l allow-unsafe-handoff -d 'Accept a handoff directory that everybody may write' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l allow-unsafe-porch -d 'Accept a porch executable that others could replace' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l log-level -d 'off, error, warn, info, debug or trace [info]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l log-format -d 'text, json, or auto: text on a terminal, else json [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l confine -d 'Confine daemon and porch: auto, require (every part, or no start) or off [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l security-enabled -d 'The specification\'s name for it: false means --confine off' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l porch-read -d 'What porch may read and execute besides the system\'s directories' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l porch-write -d 'What porch may write besides the output and its working directory' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l egress -d 'Where porch may connect by TCP: any, none (no network at all), or ports [any]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l limit-memory -d 'Memory of a process of porch, or off [4GB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l limit-cpu -d 'CPU time of a process of porch, or off [1h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l limit-processes -d 'Processes and threads of porch\'s user, or off; not for root [4096]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l limit-files -d 'Open files of a process of porch, or off [4096]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l limit-file-size -d 'Largest file that porch may write, or off [4GB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l min-free -d 'Free space for packages below which nothing starts; auto: 1MB [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l user -d 'User that a start as root switches to first: name or number' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l porch-user -d 'Separate user for an external porch; needs a start as root' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l chroot-enabled -d 'Own root directory (chroot); needs a start as root' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -s o -l output -d 'Form of the answer' -r -f -a "text\t''
json\t''"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l color -d 'Colours: auto is on a terminal, unless NO_COLOR is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set (no-color.org) or the terminal is dumb'
always\t'Always'
never\t'Never'"
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l handoff -d 'Watched directory, created when missing [./handoff]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l porch -d 'Executable, or \'builtin\' for the embedded engine [porch]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l mode -d 'direct or structured [direct]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l out -d 'Where porch writes [./out]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l once -d 'Process the waiting files, drain, exit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l debounce -d 'Quiet time before a file is taken, 0 to 1h [500ms]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l period -d 'Rescan interval; 0: events only; auto: 2s where events fail, else 10s [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l workers -d 'Concurrent porch runs, 1 to 64 [2]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l timeout -d 'Time limit of one run [30s]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l grace-period -d 'From TERM to KILL, and for running porches at shutdown [5s]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l max-attempts -d 'Starts per intent, for retryable endings and interrupted runs [3]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l rate -d 'Intents per second (burst 2 x), excess waits; off: no limit [off]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l max-file-size -d 'Largest intent file (1MB = 1048576 bytes) [10MB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l pattern -d 'Names that are taken besides intent-*.json, such as \'*.json\'' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l retention -d 'How long files and records are kept, 1h to 720h [168h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l state-dir -d 'Where the store lives instead of HANDOFF/.conductor/state' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l state-key-file -d 'Root key of the state (32 random bytes); if absent, one is made beside it' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l audit-enabled -d 'Keep a signed audit trail in HANDOFF/.conductor/audit' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l backup-dir -d 'Make encrypted backups in this directory; none if absent' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l backup-interval -d 'Time between backups, 1m to 8760h; off: only `backup now` [24h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l backup-keep -d 'How many backups are kept, 1 to 10000 [7]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l backup-recipient -d 'Recipients of age who can decrypt backups, besides the root key' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l encryption-enabled -d 'Seal the state with AES-256-GCM; false writes it again in plain' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l listen -d 'Serve page, metrics and health there; off if absent (OPERATIONS.md)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l health-addr -d 'Serve health only there' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l metrics-addr -d 'Serve metrics only there' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l insecure-listen -d 'Accept addresses that are not loopback without TLS' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l tls-cert -d 'Certificate (PEM) for the endpoints: TLS 1.3 only' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l tls-key -d 'Its private key (PEM)' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l tls-client-ca -d 'Authority (PEM) that must have signed a client\'s certificate' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l token-file -d 'File with the bearer token that API and metrics ask for' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l open-page -d 'Serve page and API without a token to every client' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l kubernetes -d 'Serve health on 8080 and metrics on 9090; auto: where KUBERNETES_SERVICE_HOST is set' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l instance -d 'Name of this daemon, in each log line and metric' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l kubeconfig -d 'Passed to porch as KUBECONFIG' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l allow-scale-to-zero -d 'Accept replicas 0' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l allow-unsafe-handoff -d 'Accept a handoff directory that everybody may write' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l allow-unsafe-porch -d 'Accept a porch executable that others could replace' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l log-level -d 'off, error, warn, info, debug or trace [info]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l log-format -d 'text, json, or auto: text on a terminal, else json [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l confine -d 'Confine daemon and porch: auto, require (every part, or no start) or off [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l security-enabled -d 'The specification\'s name for it: false means --confine off' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l porch-read -d 'What porch may read and execute besides the system\'s directories' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l porch-write -d 'What porch may write besides the output and its working directory' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l egress -d 'Where porch may connect by TCP: any, none (no network at all), or ports [any]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l limit-memory -d 'Memory of a process of porch, or off [4GB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l limit-cpu -d 'CPU time of a process of porch, or off [1h]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l limit-processes -d 'Processes and threads of porch\'s user, or off; not for root [4096]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l limit-files -d 'Open files of a process of porch, or off [4096]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l limit-file-size -d 'Largest file that porch may write, or off [4GB]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l min-free -d 'Free space for packages below which nothing starts; auto: 1MB [auto]' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l user -d 'User that a start as root switches to first: name or number' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l porch-user -d 'Separate user for an external porch; needs a start as root' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l chroot-enabled -d 'Own root directory (chroot); needs a start as root' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l config -d 'TOML file with the same keys' -r
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -l json -d 'Answer in JSON'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c conductor-loop -n "__fish_conductor_loop_using_subcommand schema" -s h -l help -d 'Print help'
