//! Selections, questions and refusals as they are written and read.

use super::*;

fn row(file: &str, state: State, target: &str) -> Row {
    let reason = Reason { word: "w".into(), text: "t".into(), advice: "a".into() };
    Row {
        seq: Some(Seq(1)),
        file: file.into(),
        state,
        target: Some(target.into()),
        correlation_id: Some("cl-1".into()),
        sha256: None,
        size: None,
        at: Some(Timestamp::UNIX_EPOCH),
        attempts: 1,
        duration_ms: None,
        error_code: (state == State::Failed).then_some(Code::PorchFailed),
        duplicate_of: None,
        archived_as: None,
        others: None,
        reason,
    }
}

#[test]
fn a_selection_takes_what_all_its_parts_take() {
    let row = row("intent-a.json", State::Failed, "ns/web");
    let every = Selection::default();
    let second: Timestamp = "1970-01-01T00:00:01Z".parse().unwrap();
    let cases = [
        (every.clone(), true),
        (Selection { states: vec![State::Failed], ..every.clone() }, true),
        (Selection { states: vec![State::Done, State::Waiting], ..every.clone() }, false),
        (Selection { target: Some("web".into()), ..every.clone() }, true),
        (Selection { target: Some("ns/web".into()), ..every.clone() }, true),
        (Selection { target: Some("ns".into()), ..every.clone() }, false),
        (Selection { text: Some("t-a".into()), ..every.clone() }, true),
        (Selection { text: Some("cl-1".into()), ..every.clone() }, true),
        (Selection { text: Some("x".into()), ..every.clone() }, false),
        (Selection { text: Some("cl-1 t-a".into()), ..every.clone() }, true),
        (Selection { text: Some("cl-1 x".into()), ..every.clone() }, false),
        (Selection { code: Some(Code::PorchFailed), ..every.clone() }, true),
        (Selection { code: Some(Code::PorchBusy), ..every.clone() }, false),
        (Selection { since: Some(Timestamp::UNIX_EPOCH), ..every.clone() }, true),
        (Selection { since: Some(second), ..every.clone() }, false),
    ];
    for (selection, want) in cases {
        assert_eq!(selection.takes(&row), want, "{selection:?}");
    }
    let unseen = Row { at: None, target: None, ..row };
    assert!(!Selection { since: Some(second), ..Selection::default() }.takes(&unseen));
    assert!(!Selection { target: Some("web".into()), ..Selection::default() }.takes(&unseen));
}

#[test]
fn questions_are_strict_and_only_some_change_something() {
    let purge = |really| Question::Purge { before: Timestamp::UNIX_EPOCH, really };
    let hold = Question::Hold { target: "t".into(), note: String::new() };
    let release = Question::Release { target: "t".into() };
    for (question, changes) in [
        (Question::Status, false),
        (purge(false), false),
        (purge(true), true),
        (hold, true),
        (release, true),
        (Question::Cancel { of: "7".into() }, true),
        (Question::Backup, true),
        (Question::List(Selection::default()), false),
    ] {
        assert_eq!(question.changes_something(), changes, "{question:?}");
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question, "{text}");
    }
    for text in [r#"{"ask": "dance"}"#, r#"{"ask": "show"}"#, r#"{"ask": "show", "of": "1", "x": 2}"#] {
        assert!(serde_json::from_str::<Question>(text).is_err(), "{text}");
    }
    let listed: Question = serde_json::from_str(r#"{"ask": "list", "states": ["failed"]}"#).unwrap();
    assert_eq!(listed, Question::List(Selection { states: vec![State::Failed], ..Selection::default() }));
}

#[test]
fn refusals_have_their_words_on_the_wire() {
    for kind in RefusalKind::ALL {
        let wire = serde_json::to_value(Refused::new(kind, "t", "a")).unwrap();
        assert_eq!(wire, serde_json::json!({"word": kind.as_str(), "text": "t", "advice": "a"}));
        assert_eq!(serde_json::from_value::<Refused>(wire).unwrap().kind, kind);
    }
}

#[test]
fn states_have_their_words() {
    for state in State::ALL {
        assert_eq!(State::from_word(state.as_str()), Some(state));
    }
    assert_eq!(State::from_word("lost"), None);
}
