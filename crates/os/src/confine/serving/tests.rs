//! The filter as the kernel would run it: every number of a call, and the arguments that matter.

use super::*;
use std::collections::BTreeSet;

const ALLOW: u32 = 0x7fff_0000;
const FAIL: u32 = 0x0005_0000 | libc::EACCES.unsigned_abs();
const KILL_PROCESS: u32 = 0x8000_0000;

/// What the kernel reads of a call: number, architecture, place, six arguments.
fn seen(number: c_long, arguments: [u64; 6]) -> Vec<u8> {
    let arch: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut bytes = u32::try_from(number).unwrap().to_ne_bytes().to_vec();
    bytes.extend(arch.to_ne_bytes());
    bytes.extend(0_u64.to_ne_bytes());
    bytes.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    bytes
}

/// The stricter answer of the two, as the kernel compares them.
fn answer(filters: &[BpfProgram; 2], number: c_long, arguments: [u64; 6]) -> u32 {
    let answers = filters.each_ref().map(|program| run(program, number, arguments));
    answers.into_iter().min_by_key(|answer| answer.cast_signed()).unwrap()
}

/// Runs a program of the kinds of lines that filters are made of.
fn run(program: &BpfProgram, number: c_long, arguments: [u64; 6]) -> u32 {
    let data = seen(number, arguments);
    let (mut at, mut held) = (0, 0_u32);
    loop {
        let line = &program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { line.jt } else { line.jf });
        match line.code {
            0x20 => {
                let from = usize::try_from(line.k).unwrap();
                held = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
            }
            0x54 => held &= line.k,
            0x05 => at += usize::try_from(line.k).unwrap(),
            0x15 => at += jump(held == line.k),
            0x25 => at += jump(held > line.k),
            0x35 => at += jump(held >= line.k),
            0x06 => return line.k,
            other => panic!("a line {other:#x}"),
        }
    }
}

fn own_ids() -> [u64; 2] {
    let number = |pid: rustix::process::Pid| u64::from(pid.as_raw_nonzero().get().unsigned_abs());
    [number(rustix::process::getpid()), number(rustix::thread::gettid())]
}

#[test]
fn a_thread_that_serves_may_make_the_listed_calls_and_any_other_fails_or_ends_the_process() {
    let filters = filters().unwrap();
    let [process, thread] = own_ids();
    let arguments = |number| match number {
        libc::SYS_tgkill => [process, thread, 6, 0, 0, 0],
        libc::SYS_tkill => [thread, 6, 0, 0, 0, 0],
        libc::SYS_mmap => [0, 4096, 3, 0x22, u64::MAX, 0],
        libc::SYS_rt_sigaction => [11, 0, 0, 8, 0, 0],
        libc::SYS_openat => [0, 0, 0o200_0000, 0, 0, 0],
        libc::SYS_prctl => [0x5356_4d41, 0, 0, 0, 0, 0],
        _ => [0, 1, 0, 0, 0, 0],
    };
    let answers: Vec<(c_long, u32)> =
        (0..1024).map(|number| (number, answer(&filters, number, arguments(number)))).collect();
    let with =
        |wanted| answers.iter().filter(move |(_, answer)| *answer == wanted).map(|(number, _)| *number);
    let numbers = |table: &[(&str, c_long)]| table.iter().map(|(_, number)| *number).collect::<BTreeSet<_>>();
    assert_eq!(with(ALLOW).collect::<BTreeSet<_>>(), numbers(ALLOWED));
    assert_eq!(with(FAIL).collect::<BTreeSet<_>>(), numbers(FAILING));
    let listed = ALLOWED.len() + FAILING.len();
    assert_eq!(with(KILL_PROCESS).count(), 1024 - listed);
    assert!(listed <= 45, "{listed}");
}

#[test]
fn a_thread_that_serves_opens_and_maps_no_file_executes_no_memory_and_signals_itself_alone() {
    let filters = filters().unwrap();
    let [process, thread] = own_ids();
    let mmap = |protection, flags| (libc::SYS_mmap, [0, 4096, protection, flags, u64::MAX, 0]);
    let mprotect = |protection| (libc::SYS_mprotect, [4096, 4096, protection, 0, 0, 0]);
    let of_two = |call, first, second| (call, [first, second, 0, 0, 0, 0]);
    for ((number, arguments), allowed) in [
        (mmap(3, 0x22), true),
        (mmap(0, 0x4022), true),
        (mmap(7, 0x22), false),
        (mmap(4, 0x22), false),
        (mmap(1, 0x02), false),
        (mmap(3, 0x01), false),
        (mprotect(3), true),
        (mprotect(0), true),
        (mprotect(5), false),
        (of_two(libc::SYS_fcntl, 3, 1), true),
        (of_two(libc::SYS_fcntl, 3, 0), false),
        (of_two(libc::SYS_fcntl, 3, 4), false),
        (of_two(libc::SYS_fcntl, 3, 8), false),
        (of_two(libc::SYS_rt_sigaction, 11, 0), true),
        (of_two(libc::SYS_rt_sigaction, 15, 0), false),
        (of_two(libc::SYS_tgkill, process, thread + 1), false),
        (of_two(libc::SYS_tgkill, process + 1, thread), false),
        (of_two(libc::SYS_tkill, thread + 1, 6), false),
        (of_two(libc::SYS_kill, process, 0), false),
        ((libc::SYS_openat, [0, 0, 0o200_0001, 0, 0, 0]), false),
        ((libc::SYS_openat, [0, 0, 0, 0, 0, 0]), false),
        (of_two(libc::SYS_prctl, 15, 0), false),
    ] {
        let wanted = if allowed { ALLOW } else { KILL_PROCESS };
        assert_eq!(answer(&filters, number, arguments), wanted, "{number} {arguments:x?}");
    }
}
