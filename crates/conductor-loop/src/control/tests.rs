//! The socket with a real client: who gets an answer, and who keeps whom waiting.

use super::answering::Answering;
use super::silent;
use super::socket::socket_path;
use super::{AskError, Bound, Control, Runs, ask};
use crate::handoff::layout::CONTROL as SOCKET;
use conductor_core::query::{Answer, LogLines, Question, RefusalKind, Refused, Selection};
use conductor_os::dir::Dir;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn listening() -> (tempfile::TempDir, Arc<Dir>, Control) {
    listening_with(Arc::new(|question, uid, _| match question {
        Question::Logs { after, .. } => Answer::Logs(LogLines { lines: vec![uid.to_string()], last: after }),
        other => Answer::Refused(Refused::new(RefusalKind::NotFound, format!("{other:?}"), "")),
    }))
}

fn listening_with(answering: Arc<Answering>) -> (tempfile::TempDir, Arc<Dir>, Control) {
    let root = tempfile::tempdir().unwrap();
    let private = Arc::new(Dir::open(root.path()).unwrap());
    let bound = Bound::bind(Arc::clone(&private)).unwrap();
    let control = bound.serve(answering, Box::new(|_| ()), Runs::MayAsk).unwrap();
    (root, private, control)
}

#[test]
fn one_question_a_connection_and_the_kernel_says_who_asks() {
    let (root, private, control) = listening();
    let own = rustix::process::geteuid().as_raw().to_string();
    let question = Question::Logs { after: 7, most: 1 };
    assert_eq!(ask(&private, &question).unwrap(), Answer::Logs(LogLines { lines: vec![own], last: 7 }));
    let mode = root.path().join(SOCKET).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(control);
    assert!(!root.path().join(SOCKET).exists());
    assert!(matches!(ask(&private, &question), Err(AskError::NotRunning)));
}

/// As many as are answered at once ask for what takes for ever, and go away; others have their answers.
#[test]
fn who_has_gone_keeps_nobody_waiting() {
    let (_root, private, _control) = listening_with(Arc::new(|question, _, is_wanted| {
        while matches!(question, Question::Status) && is_wanted() {
            std::thread::yield_now();
        }
        Answer::Logs(LogLines::default())
    }));
    for _ in 0..20 {
        let mut stream = UnixStream::connect(socket_path(&private)).unwrap();
        let line = conductor_core::record::one_line(&Question::Status);
        stream.write_all(&[line, vec![b'\n']].concat()).unwrap();
    }
    // One who has said all there is to say still reads.
    let mut half = UnixStream::connect(socket_path(&private)).unwrap();
    half.write_all(&conductor_core::record::one_line(&Question::Logs { after: 0, most: 1 })).unwrap();
    half.shutdown(std::net::Shutdown::Write).unwrap();
    half.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"last\""), "{answer}");
}

#[test]
fn nonsense_and_silence_hurt_nobody() {
    let (_root, private, _control) = listening();
    let connect = || UnixStream::connect(socket_path(&private)).unwrap();
    for nonsense in ["\n", "{}\n", "{\"ask\": \"dance\"}\n", "GET / HTTP/1.1\n"] {
        let mut stream = connect();
        stream.write_all(nonsense.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("bad-question"), "{nonsense:?}: {answer}");
    }
}

/// In each of many rounds a client asks while others hold connections open, also at the same moment.
#[test]
fn silent_connections_keep_no_question_out() {
    let (_root, private, _control) = listening();
    let connect = || UnixStream::connect(socket_path(&private)).unwrap();
    let mut silent: Vec<UnixStream> = (0..500).map(|_| connect()).collect();
    for round in 0..200 {
        let began = Instant::now();
        let listed = ask(&private, &Question::List(Selection::default())).unwrap();
        assert!(matches!(listed, Answer::Refused(refused) if refused.text.contains("List")));
        assert!(began.elapsed() < silent::PATIENCE, "round {round}: it had to wait for the silent ones");
        silent.truncate(400);
        silent.extend((0..20).map(|_| connect()));
    }
}

#[test]
fn a_question_may_come_in_pieces_and_half_of_one_is_given_up() {
    let (_root, private, _control) = listening();
    let mut slow = UnixStream::connect(socket_path(&private)).unwrap();
    let mut half = UnixStream::connect(socket_path(&private)).unwrap();
    half.write_all(b"{\"ask\"").unwrap();
    let line =
        [conductor_core::record::one_line(&Question::Logs { after: 7, most: 1 }), vec![b'\n']].concat();
    for byte in line {
        slow.write_all(&[byte]).unwrap();
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"last\""), "{answer}");
    answer.clear();
    half.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "", "the line was closed");
}
