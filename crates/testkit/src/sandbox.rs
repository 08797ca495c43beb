//! A sandbox as systemd makes it: no call may set set-user-id or set-group-id.

use crate::environment::has;
use std::path::Path;
use std::process::Command;

/// Installs the filter and runs what follows on its command line. The numbers of the calls are those of x86-64.
const FILTER: &str = "
import ctypes, os, struct, sys
LOAD, EQUAL, SET, ANSWER = 0x20, 0x15, 0x45, 0x06
code = []
for call, argument in [(90, 1), (91, 1), (268, 2), (83, 1), (258, 2)]:
    code += [(LOAD, 0, 0, 0), (EQUAL, 0, 3, call), (LOAD, 0, 0, 16 + 8 * argument), (SET, 0, 1, 0o6000), (ANSWER, 0, 0, 0x50001)]
code.append((ANSWER, 0, 0, 0x7fff0000))
text = b''.join(struct.pack('HBBI', *line) for line in code)
held = ctypes.create_string_buffer(text)
program = struct.pack('HxxxxxxP', len(code), ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:
    sys.exit(97)
os.execvp(sys.argv[1], sys.argv[1:])
";

/// Installs a filter that answers one call with an error, and runs what follows on its command line.
const ANSWERING: &str = "
import ctypes, os, struct, sys
call, number = int(sys.argv[1]), int(sys.argv[2])
code = [(0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x50000 | number), (0x06, 0, 0, 0x7fff0000)]
held = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in code))
program = struct.pack('HxxxxxxP', len(code), ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:
    sys.exit(97)
os.execvp(sys.argv[3], sys.argv[3:])
";

/// A program for which a system call fails with this error, as in a sandbox or on an older kernel; `None`, with a word,
/// where that cannot be arranged.
pub fn with_call_answered(program: &Path, call: i64, errno: i32) -> Option<Command> {
    if !has("python3") {
        return None;
    }
    let mut command = Command::new("python3");
    command.args(["-c", ANSWERING, &call.to_string(), &errno.to_string()]).arg(program);
    Some(command)
}

/// A program that may set neither bit; `None`, with a word, where that cannot be arranged.
pub fn without_set_id(program: &Path) -> Option<Command> {
    if !cfg!(target_arch = "x86_64") || !has("python3") {
        eprintln!("NOT TESTED: a sandbox without set-group-id");
        return None;
    }
    let filtered = |program: &Path| {
        let mut command = Command::new("python3");
        command.args(["-c", FILTER]).arg(program);
        command
    };
    if !filtered(Path::new("true")).output().is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: a sandbox without set-group-id is not allowed here");
        return None;
    }
    Some(filtered(program))
}
