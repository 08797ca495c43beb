//! The stable codes of every refusal and failure. A code never changes its meaning; docs/ERRORS.md is generated from this
//! table, so the page is complete by construction.

use serde::{Deserialize, Serialize};

/// One row of docs/ERRORS.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The code this row explains.
    pub code: Code,
    /// The code as it is printed, e.g. `E215`.
    pub id: &'static str,
    /// A short name for people and metric labels, e.g. `out-of-range`.
    pub title: &'static str,
    /// The meaning, in a sentence.
    pub meaning: &'static str,
    /// The operator's remedy.
    pub remedy: &'static str,
}

macro_rules! codes {
    ($($variant:ident $id:literal $title:literal $meaning:literal $remedy:literal)*) => {
        /// A stable error code. E1xx: the file, E2xx: its content, E3xx: the run, E4xx: storage, E5xx: set-up.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $(#[doc = $meaning] #[serde(rename = $id)] $variant,)* }
        /// Every code in numerical order.
        pub const TABLE: &[Entry] = &[$(Entry {
            code: Code::$variant, id: $id, title: $title, meaning: $meaning, remedy: $remedy,
        },)*];
        impl Code {
            /// The printed form, e.g. `E215`.
            pub const fn id(self) -> &'static str { match self { $(Self::$variant => $id,)* } }
            /// The short name, e.g. `out-of-range`.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)* } }
            /// The operator's remedy.
            pub const fn remedy(self) -> &'static str { match self { $(Self::$variant => $remedy,)* } }
        }
    };
}

codes! {
    BadFileName "E101" "bad-file-name"
        "The file name begins with `intent-` and ends with `.json`, but is not `intent-[A-Za-z0-9._-]{1,200}.json` or contains `..`."
        "Give the file a name of letters, digits, dot, underscore and hyphen."
    NotRegular "E102" "not-a-regular-file"
        "The entry is a symbolic link, FIFO, socket or device; it was moved aside without being opened."
        "Write a plain file, or rename one into the handoff directory."
    HardLinked "E103" "hard-linked"
        "The file has more than one name; another name could change it or expose what it links to."
        "Copy the content into a new file instead of linking it."
    TooLarge "E104" "too-large"
        "The file is larger than --max-file-size; nothing of it was read."
        "Send a smaller intent, or raise --max-file-size."
    Unreadable "E105" "unreadable"
        "The file could not be opened or read."
        "Make the file readable by the daemon's user before it is renamed into the handoff directory."
    Unstable "E106" "unstable"
        "The file changed each of the three times it was read."
        "Write to another name and rename when the content is complete."
    DirectoryLeft "E107" "directory"
        "A directory carries an intent's name; it is left where it is, reported once until it changes, and looked at again at each scan."
        "Remove or rename the directory."
    NotTakeable "E108" "not-takeable"
        "The file could not be moved out of the handoff directory; it is left, reported once until it changes, and tried again at each scan."
        "Let the daemon's user write the handoff directory (owner, mode, sticky bit, mount), and look at the attributes of both (lsattr)."
    Empty "E201" "empty"
        "The file holds no bytes."
        "Write the intent to another name and rename it when it is complete."
    NotUtf8 "E202" "not-utf-8"
        "The content is not valid UTF-8, or holds a NUL byte, as UTF-16 does."
        "Encode the file as UTF-8 (Windows PowerShell 5.1: `[IO.File]::WriteAllText($path, $json)`)."
    ByteOrderMark "E203" "byte-order-mark"
        "The content is UTF-16 or UTF-32, or begins with more than one byte order mark; one before UTF-8 is accepted."
        "Save as UTF-8. Windows PowerShell 5.1: `[IO.File]::WriteAllText($path, $json)`, where `>` and `Out-File` write UTF-16; PowerShell 7: `-Encoding utf8`."
    Incomplete "E204" "incomplete"
        "The JSON text ends before it is complete."
        "Write to another name and rename when the content is complete."
    Syntax "E205" "syntax"
        "The content is not JSON as RFC 8259 defines it."
        "Correct the text at the line and column given."
    SecondDocument "E206" "second-document"
        "Something follows the end of the JSON object."
        "Put one intent into one file."
    TooDeep "E207" "too-deep"
        "Objects and arrays are nested more than 100 levels deep."
        "Flatten the content."
    DuplicateKey "E208" "duplicate-key"
        "An object holds the same key twice, after escapes are decoded; in free objects also when only the case differs."
        "Keep one of the two."
    NotAnObject "E209" "not-an-object"
        "The document is not a JSON object."
        "Begin the intent with `{`."
    TooManyValues "E210" "too-many-values"
        "The document holds more values than an intent can need (20,000)."
        "Split the content."
    SuspiciousCharacter "E211" "suspicious-character"
        "A string holds a control character other than tab and line break, a bidirectional override or isolate, a private-use character or a noncharacter; or a name holds a line break or an invisible character."
        "Remove the character."
    UnknownField "E212" "unknown-field"
        "The field is not part of the schema at this place."
        "Remove it, or correct its spelling; `conductor-loop schema` prints the known fields."
    MissingField "E213" "missing-field"
        "A required field is absent."
        "Add the field."
    WrongType "E214" "wrong-type"
        "The value has another type than the schema asks for; whole numbers are written without fraction or exponent."
        "Write the value in the type given."
    OutOfRange "E215" "out-of-range"
        "The number lies outside its range."
        "Choose a number within the range given."
    NotAllowed "E216" "not-allowed"
        "The text is not one of the words the field allows."
        "Use one of the words given."
    BadIdentifier "E217" "bad-identifier"
        "The text does not follow the field's pattern, such as an RFC 1123 name."
        "Use the form given."
    TooLong "E218" "too-long"
        "The text or list is longer or shorter than the field allows."
        "Shorten it (or fill it) to the length given."
    Contradiction "E219" "contradiction"
        "Two fields of the intent contradict each other."
        "Change one of the two fields named."
    PorchFailed "E301" "porch-failed"
        "porch ended with an exit status other than 0."
        "Read the error log beside the archived file; correct the cause, then `conductor-loop retry` it."
    PorchSignalled "E302" "porch-signalled"
        "porch was ended by a signal that conductor-loop did not send."
        "Look for the out-of-memory killer or an operator; then `conductor-loop retry` it."
    PorchTimeout "E303" "porch-timeout"
        "porch did not end within --timeout and was stopped."
        "Find out what porch waits for, or raise --timeout; then `conductor-loop retry` it."
    PorchNotStarted "E304" "porch-not-started"
        "porch could not be started."
        "Check the executable and its interpreter; then `conductor-loop retry` it."
    PorchBusy "E305" "porch-busy"
        "porch asked to be tried again (exit 75) until --max-attempts was reached."
        "Find out what porch is waiting for, or raise --max-attempts; then `conductor-loop retry` it."
    Interrupted "E306" "interrupted"
        "The daemon or the machine stopped while porch ran, and that was the last start --max-attempts allows."
        "porch may have written the package. Check whether this intent brings the machine down; then `conductor-loop retry` it."
    Unsupported "E307" "unsupported-intent"
        "The embedded engine has no package form for this kind of intent."
        "Use an external porch that knows it (--porch PATH)."
    PackageWrite "E308" "package-not-written"
        "The embedded engine could not write the package."
        "Check --out: permissions, free space, symbolic links; then `conductor-loop retry` it."
    PolicyRefused "E309" "refused-by-policy"
        "The operator's routes, or the intent's own constraints, do not allow this change."
        "Change the intent, or the [[route]] that covers the target."
    PackageUnfit "E310" "package-unfit"
        "The package that holds the target cannot be edited safely; nothing was changed."
        "Correct the named place in the package, then `conductor-loop retry` it."
    PackageBusy "E311" "package-busy"
        "Another process works on the package or the repository, or the remote cannot be reached; tried again."
        "Find the process that holds it, or bring the remote back; then `conductor-loop retry` it."
    GitFailed "E312" "git-failed"
        "The git program could not read or write the repository."
        "Do what the message names, or else the git step by hand, as the daemon's user; then `conductor-loop retry` it."
    PackageCheckFailed "E313" "package-check-failed"
        "The embedded engine's result is not the intended one; nothing was written. This is a defect."
        "Report it with the package and the intent."
    PorchMisled "E314" "porch-misled"
        "The staging directory was replaced while porch ran, so it is unknown whether porch ran this intent; tried again."
        "Find out who may rename in the handoff directory (mode 3770 and an owner of its own); then `conductor-loop retry` it."
    Cancelled "E315" "cancelled"
        "An operator cancelled the intent while it waited; porch was not started for it any more."
        "Nothing; or `conductor-loop retry` it if it is wanted after all."
    DirectorySetup "E401" "directory-set-up"
        "A directory the daemon needs could not be created or opened."
        "Check the path; give the directory to the user that the daemon runs as (chown), or run it as the directory's owner; in a container: --user UID:GID, with the compose file CONDUCTOR_USER=UID:GID."
    LockHeld "E402" "lock-held"
        "Another daemon works on this handoff directory."
        "Stop the other daemon, or use a handoff directory of its own for each."
    OtherFileSystem "E403" "other-file-system"
        "handoff, processed, failed, status and .conductor are not on one file system."
        "Mount the handoff directory as one volume."
    StoreDamaged "E404" "store-damaged"
        "The state store is missing, damaged, or older than the work it has recorded; the daemon does not start with an empty or older one in its place."
        "Nothing was changed. Let `conductor-loop state rebuild` make it again from all that is left, or move the state directory aside and `state import` an export."
    StoreVersion "E405" "store-version"
        "The state store was written by another version of its format."
        "Run the version that wrote it and `state export`; then move the state directory aside and `state import` here."
    StoreFailed "E406" "store-failed"
        "Writing or reading the state store failed; the daemon stops instead of guessing."
        "Check the disk; a restart recovers from the last durable state."
    UnsafeDirectory "E407" "unsafe-directory"
        "The handoff directory is writable by everybody without the sticky bit, so anyone could rename its parts."
        "chmod o-w or +t the directory, or pass --allow-unsafe-handoff."
    DiskFull "E408" "disk-full"
        "There is no space left; no new intent is taken until there is."
        "Free space or inodes on the handoff's file system; work resumes by itself."
    HandoffGone "E409" "handoff-gone"
        "The handoff directory was removed, replaced or unmounted while the daemon ran."
        "Bring the directory back; the daemon starts over in it by itself, and one that has ended (--once, --chroot-enabled) with its next start."
    StateImport "E410" "state-import"
        "A state file, given for import or found as .conductor-state.json, is neither an export of this program nor one of the Go version."
        "Check the file, or move it aside; nothing was changed."
    Defect "E411" "defect"
        "The daemon found its internal state inconsistent and ended instead of guessing. This is a defect."
        "Report it with the log; a restart goes on from the last durable state."
    OutUnusable "E412" "out-unusable"
        "The directory of packages is full, read-only, or missing; intents that write there wait."
        "Free space, mount it again, or make the directory again; the intents go on by themselves."
    NotOurs "E413" "not-ours"
        "A directory or file of the daemon belongs to another user, can be written by others, or is a link."
        "Run the daemon as that owner, or inspect the named entry and take it over with the command given, or move it aside."
    AuditDamaged "E414" "audit-damaged"
        "The audit trail is not what was written: an entry was changed, or its end was removed."
        "Nothing was changed. Let `conductor-loop audit verify` name the entry and keep a copy of .conductor/audit; moved aside, a new trail begins."
    BackupFailed "E415" "backup-failed"
        "A backup could not be made, opened or restored; an earlier one is as it was."
        "Read the reason: a directory or key that is missing, a disk that is full, or a file that was changed; `conductor-loop backup now` tries again."
    BadValue "E501" "bad-value"
        "A flag, variable or configuration key has a value that cannot be used."
        "Correct the value at the origin given."
    UnknownKey "E502" "unknown-key"
        "The configuration file holds a key that does not exist."
        "Correct or remove the key; `conductor-loop config show` lists all."
    ConfigUnreadable "E503" "config-unreadable"
        "The configuration file could not be read or is not TOML."
        "Check path, permissions and syntax."
    PorchMissing "E504" "porch-missing"
        "The porch that was asked for does not exist."
        "Install porch, give its full path (--porch), or use --porch builtin."
    PorchUnsafe "E505" "porch-unsafe"
        "The porch executable, or a directory above it, could be replaced by others, or it is no executable file."
        "Name a program that only its owner can change: chmod +x what cannot be executed, chmod go-w what others can write, or pass --allow-unsafe-porch."
    CannotListen "E506" "cannot-listen"
        "An address for health or metrics cannot be listened on."
        "Choose a free port above 1023 on an address of this machine."
    SecurityFiles "E507" "certificate-or-token"
        "The certificate, key, authority or token for the endpoints cannot be read or used."
        "Check the path and its permissions. Certificate and key are PEM and belong together; a token is one word of 16 characters or more."
    NoRoot "E508" "no-root-of-its-own"
        "The root directory of its own that --chroot-enabled asks for cannot be made."
        "Start the daemon as root with CAP_SYS_ADMIN, on Linux 5.12 or later; or leave it to the service manager (RootDirectory=) or the container, and set --chroot-enabled to false."
    PathsOverlap "E509" "paths-overlap"
        "The output, a repository or the state directory lies where the handoff directory keeps its own files, or contains them."
        "Choose a directory of its own for each of --handoff, --out, --state-dir and the repositories."
    KeyUnusable "E510" "key-unusable"
        "The file of the root keys is missing, holds no key, or is no secret: others may read it, or it lies where producers write."
        "Give 32 random bytes to the daemon's user alone: `(umask 077; head -c 32 /dev/urandom >FILE)` outside the handoff directory; bring back a lost file from its copy."
    KeyOther "E511" "key-of-another-state"
        "The root keys are not those that this state was signed with."
        "Give the file with the old key and the new one, each a line of base64, the newest last (`keys rotate` makes one)."
    Unconfined "E512" "not-confined"
        "--confine require asks for every part of the confinement, and a part is missing or was refused."
        "Give the daemon a kernel and a container that permit the named part, or use --confine auto, which goes on without it and says so."
    UserUnusable "E513" "user-unusable"
        "The user of --user or --porch-user does not exist, cannot be become, or may not write its directories."
        "Name a user that exists, or a number, and for porch another than the daemon's; start as root, or as that user; give it the directories with the command in the message."
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_unique_and_complete() {
        assert!(TABLE.windows(2).all(|w| w[0].id < w[1].id), "codes ascend");
        let mut titles: Vec<_> = TABLE.iter().map(|e| e.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), TABLE.len(), "titles are unique");
        for e in TABLE {
            assert_eq!(e.code.id(), e.id);
            assert_eq!(serde_json::to_string(&e.code).unwrap(), format!("\"{}\"", e.id));
            assert!(e.meaning.ends_with('.') && e.remedy.ends_with('.'), "{} ends in full stops", e.id);
        }
    }
}
