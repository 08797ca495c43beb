//! The read-only API: a path and a query become a question; its answer becomes JSON.

use super::View;
use super::response::{Content, JSON, respond};
use super::turns::{Turn, Turns, Wanted};
use conductor_core::code::TABLE;
use conductor_core::query::{Answer, Question, RefusalKind, Refused, Selection, State};
use conductor_core::{Code, Seq};
use hyper::{Response, StatusCode};
use serde::Serialize;

pub(super) const PREFIX: &str = "/api/v1/";

/// The turn of a question. A page asks for its status each second, also while others look at intents or search.
pub(super) fn turn<'t>(turns: &'t Turns, question: &Result<Question, Refused>) -> &'t Turn {
    match question {
        Ok(Question::Status) | Err(_) => &turns.glances,
        Ok(Question::Show { of } | Question::Explain { of }) if of.parse::<Seq>().is_ok() => &turns.lookups,
        Ok(_) => &turns.searches,
    }
}

pub(super) fn answer(
    question: Result<Question, Refused>,
    view: &dyn View,
    wanted: &Wanted,
) -> Response<Content> {
    let answer = match question {
        Ok(question) => view.answer(question, &|| wanted.is_wanted()),
        Err(refused) => Answer::Refused(refused),
    };
    match answer {
        Answer::Status(status) => json(StatusCode::OK, &status),
        Answer::List(listing) => json(StatusCode::OK, &listing),
        Answer::Show(shown) => json(StatusCode::OK, &shown),
        Answer::Explain(explained) => json(StatusCode::OK, &explained),
        Answer::Refused(refused) => {
            let status = match refused.kind {
                RefusalKind::NotFound => StatusCode::NOT_FOUND,
                RefusalKind::NotPermitted => StatusCode::FORBIDDEN,
                RefusalKind::BadQuestion | RefusalKind::Ambiguous => StatusCode::BAD_REQUEST,
                RefusalKind::Busy | RefusalKind::NotRunning | RefusalKind::Store => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            json(status, &serde_json::json!({"error": refused}))
        }
        // No path of the API asks for these.
        Answer::Held(_)
        | Answer::Released { .. }
        | Answer::Cancelled(_)
        | Answer::Purged(_)
        | Answer::Exported(_)
        | Answer::BackedUp { .. }
        | Answer::Logs(_) => json(StatusCode::INTERNAL_SERVER_ERROR, &serde_json::json!({})),
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Content> {
    let mut bytes = serde_json::to_vec(body).unwrap_or_default();
    bytes.push(b'\n');
    respond(status, JSON, bytes)
}

/// The question of a path and a query.
pub(super) fn question(path: &str, query: &str) -> Result<Question, Refused> {
    let asked = path.strip_prefix(PREFIX).unwrap_or_default();
    match asked.split_once('/') {
        None if asked == "status" => Ok(Question::Status),
        None if asked == "intents" => selection(query).map(Question::List),
        None if asked == "explain" => of(query).map(|of| Question::Explain { of }),
        Some(("intents", of)) if !of.is_empty() && !of.contains('/') => {
            Ok(Question::Show { of: decoded(of) })
        }
        _ => {
            let text = format!("there is no {path}");
            Err(Refused::new(RefusalKind::NotFound, text, "See docs/FORMATS.md."))
        }
    }
}

/// A part of a path without its percent-encoding. There, unlike in a query, `+` and `&` stand for themselves.
fn decoded(part: &str) -> String {
    let value = part.replace('+', "%2B").replace('&', "%26");
    let pairs = format!("of={value}");
    form_urlencoded::parse(pairs.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

fn of(query: &str) -> Result<String, Refused> {
    match form_urlencoded::parse(query.as_bytes()).collect::<Vec<_>>().as_slice() {
        [(key, value)] if key == "of" && !value.is_empty() => Ok(value.clone().into_owned()),
        _ => Err(bad("explain?of=NUMBER, FILE or TARGET".to_owned())),
    }
}

fn selection(query: &str) -> Result<Selection, Refused> {
    let mut selection = Selection::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
        let wrong = || bad(format!("'{value}' is no value of {key}"));
        match &*key {
            "state" => {
                let states = value.split(',').map(State::from_word);
                selection.states = states.collect::<Option<_>>().ok_or_else(wrong)?;
            }
            "target" => selection.target = Some(value.into_owned()),
            "text" => selection.text = Some(value.into_owned()),
            "code" => selection.code = Some(code(&value).ok_or_else(wrong)?),
            "since" => selection.since = Some(value.parse().map_err(|_| wrong())?),
            "by" if value == "target" => selection.by_target = true,
            "before" => selection.before = Some(value.parse().map_err(|_| wrong())?),
            "limit" => selection.most = value.parse().map_err(|_| wrong())?,
            _ => return Err(bad(format!("'{key}' is not known"))),
        }
    }
    Ok(selection)
}

fn code(id: &str) -> Option<Code> {
    TABLE.iter().find(|entry| entry.id == id).map(|entry| entry.code)
}

fn bad(text: String) -> Refused {
    let advice = "Known: state, target, text, code, since (RFC 3339), before, by (target), limit. See docs/FORMATS.md.";
    Refused::new(RefusalKind::BadQuestion, text, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_by_number_waits_behind_no_search_and_keeps_no_status_waiting() {
        let turns = Turns::start().unwrap();
        let Turns { glances, lookups, searches, .. } = &turns;
        for (path, query, want) in [
            ("status", "", glances),
            ("nothing", "", glances),
            ("intents/7", "", lookups),
            ("explain", "of=7", lookups),
            ("explain", "of=web", searches),
            ("intents/web", "", searches),
            ("intents", "text=a", searches),
        ] {
            let question = question(&format!("{PREFIX}{path}"), query);
            assert!(std::ptr::eq(turn(&turns, &question), want), "{path} {query}");
        }
    }

    #[test]
    fn paths_and_queries_are_questions_or_refused() {
        let asked = |path: &str, query: &str| question(&format!("{PREFIX}{path}"), query);
        assert_eq!(asked("status", "").unwrap(), Question::Status);
        let show = Question::Show { of: "intent-a.json".into() };
        assert_eq!(asked("intents/intent-a.json", "").unwrap(), show);
        for (part, of) in [("intent-a%20%25+b%26=c.json", "intent-a %+b&=c.json"), ("ns%2Fweb", "ns/web")] {
            let show = Question::Show { of: of.into() };
            assert_eq!(asked(&format!("intents/{part}"), "").unwrap(), show);
        }
        let explain = Question::Explain { of: "ns/web".into() };
        assert_eq!(asked("explain", "of=ns%2Fweb").unwrap(), explain);
        let query =
            "state=failed,done&target=web&text=a+b&code=E301&since=2026-01-01T00:00:00Z&before=9&limit=3";
        let Question::List(selection) = asked("intents", query).unwrap() else { panic!("a list") };
        assert_eq!(selection.states, [State::Failed, State::Done]);
        assert_eq!(
            (selection.text.as_deref(), selection.before, selection.most),
            (Some("a b"), Some(Seq(9)), 3)
        );
        assert_eq!(selection.code, Some(Code::PorchFailed));
        let Question::List(grouped) = asked("intents", "by=target").unwrap() else { panic!("a list") };
        assert!(grouped.by_target && !selection.by_target);
        for query in ["by=file", "state=lost", "code=E999", "since=noon", "before=x", "limit=-1", "color=red"]
        {
            assert_eq!(asked("intents", query).unwrap_err().kind, RefusalKind::BadQuestion, "{query}");
        }
        for query in ["", "of=", "of=a&of=b", "off=a"] {
            assert!(asked("explain", query).is_err(), "{query}");
        }
        for path in ["", "intent", "intents/", "intents/a/b", "status/x", "hold", "../status"] {
            assert_eq!(asked(path, "").unwrap_err().kind, RefusalKind::NotFound, "{path}");
        }
    }
}
