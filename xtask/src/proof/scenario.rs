//! Small scenarios of the daemon that harnesses repeat while killing it or failing a call at each of its system calls.

use conductor_core::Seq;
use conductor_testkit::promise::{self, Dropped, Ending};
use conductor_testkit::{Action, Report, TestEnv, at_call, calls::Class, flat, trail, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One scenario: the intents present before, the intents dropped, the behaviour of porch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    /// The name in tables.
    pub(crate) name: &'static str,
    script: &'static str,
    builtin: bool,
    /// Intents processed before, undisturbed.
    before: &'static [(&'static str, &'static str, u32)],
    /// File, target, replicas; without a target, the content is refused.
    dropped: &'static [(&'static str, &'static str, u32)],
    endings: &'static [Ending],
    attacked: Attacked,
    /// Whether each point takes longer than others, because the scenario contains a pause.
    pub(crate) slow: bool,
}

/// A target that is held.
const HELD: &str = "held";

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attacked {
    /// A start of the daemon, which works off what was dropped.
    Start,
    /// One after another root key has been added, so that it seals the state anew.
    StartAfterRotation,
    /// `backup restore` in the place of a store that knows more: the backup is of before the last intent of `before`, and the last one
    /// that was dropped has been taken, and is held.
    Restore,
    /// A daemon while an operator cancels an intent; what was dropped has been taken, and is held.
    Cancel,
}

/// The intent that is cancelled.
const CANCELLED: &str = "intent-cancelled.json";

impl Attacked {
    /// Whether a target is held from before the attack until the check.
    fn holds(self) -> bool {
        matches!(self, Self::Restore | Self::Cancel)
    }
}

const PLAIN: Scenario = Scenario {
    name: "success",
    script: "*: exit=0",
    builtin: false,
    before: &[],
    dropped: &[("intent-a.json", "web", 3)],
    endings: &[Ending::Success],
    attacked: Attacked::Start,
    slow: false,
};

/// Scenarios that together cover every part of the promise.
pub(crate) const SCENARIOS: [Scenario; 11] = [
    PLAIN,
    Scenario { name: "failing porch", script: "*: exit=3", endings: &[Ending::Failed("E301")], ..PLAIN },
    Scenario {
        name: "duplicate",
        before: &[("intent-a.json", "web", 3)],
        endings: &[Ending::Before, Ending::Duplicate],
        ..PLAIN
    },
    Scenario {
        name: "invalid",
        dropped: &[("intent-a.json", "", 0)],
        endings: &[Ending::Failed("E204")],
        ..PLAIN
    },
    Scenario {
        name: "retry",
        script: "*: busy-until=2",
        endings: &[Ending::SuccessAfter(1)],
        slow: true,
        ..PLAIN
    },
    Scenario {
        name: "two of one target",
        dropped: &[("intent-a.json", "web", 3), ("intent-b.json", "web", 4)],
        endings: &[Ending::Success, Ending::Success],
        ..PLAIN
    },
    Scenario {
        name: "another root key",
        before: &[("intent-a.json", "web", 3)],
        endings: &[Ending::Before, Ending::Duplicate],
        attacked: Attacked::StartAfterRotation,
        ..PLAIN
    },
    Scenario {
        name: "restore",
        before: &[("intent-a.json", "web", 3), ("intent-b.json", "db", 3)],
        dropped: &[("intent-b.json", "db", 3), ("intent-held.json", "held", 3)],
        endings: &[Ending::Success, Ending::Before, Ending::Duplicate, Ending::Success],
        slow: true,
        attacked: Attacked::Restore,
        ..PLAIN
    },
    Scenario {
        name: "cancel",
        dropped: &[(CANCELLED, HELD, 3), ("intent-held.json", HELD, 4)],
        endings: &[Ending::Failed("E315"), Ending::Success],
        attacked: Attacked::Cancel,
        ..PLAIN
    },
    Scenario { name: "embedded", builtin: true, ..PLAIN },
    Scenario {
        name: "embedded, edit",
        builtin: true,
        before: &[("intent-before.json", "web", 2)],
        endings: &[Ending::Success, Ending::Success],
        ..PLAIN
    },
];

/// A scenario in a directory of its own, ready to run.
pub(crate) struct Stage {
    /// The directory.
    pub(crate) env: TestEnv,
    scenario: &'static Scenario,
    dropped: Vec<Dropped>,
}

impl Scenario {
    fn flags(&self) -> &'static [&'static str] {
        if self.builtin { &["-porch", "builtin"] } else { &[] }
    }

    /// Prepares the stage: an earlier run of the daemon has made its directories and processed the intents of `before`.
    pub(crate) fn stage(&'static self, program: &Path) -> Stage {
        let env = TestEnv::new(&program.display().to_string());
        env.script(self.script);
        let mut dropped = Vec::new();
        let all = self.before.iter().chain(self.dropped).zip(self.endings);
        for (number, ((name, target, replicas), ending)) in all.enumerate() {
            let content = if target.is_empty() { "{".to_owned() } else { flat(target, *replicas) };
            if number == self.before.len() {
                env.once(self.flags()).expect(0);
                self.prepare(&env);
            } else if number > 0 && number < self.before.len() && self.attacked == Attacked::Restore {
                env.once(self.flags()).expect(0);
                operate(&env, &["backup", "now"]).expect(0);
            }
            if *target != HELD {
                env.drop_file(name, &content);
            }
            dropped.push(Dropped { name: (*name).to_owned(), content, ending: *ending });
        }
        Stage { env, scenario: self, dropped }
    }

    /// What has happened since the intents of `before` were done.
    fn prepare(&self, env: &TestEnv) {
        match self.attacked {
            Attacked::Start => {}
            Attacked::StartAfterRotation => {
                env.operate(&["keys", "rotate"]).expect(0);
            }
            Attacked::Restore | Attacked::Cancel => {
                let daemon = env.start_ready(self.flags());
                env.operate(&["hold", &format!("test/{HELD}")]).expect(0);
                for (name, target, replicas) in self.dropped.iter().filter(|(_, target, _)| *target == HELD) {
                    env.drop_file(name, flat(target, *replicas));
                    wait_until("it is held", || env.operate(&["explain", name]).stdout.contains("held:"));
                }
                daemon.stop().expect(0);
            }
        }
    }
}

/// Runs a command that may need the backups.
fn operate(env: &TestEnv, words: &[&str]) -> conductor_testkit::Finished {
    let dir = env.path("backups").display().to_string();
    env.operate(&[words, &["--backup-dir", &dir]].concat())
}

impl Stage {
    /// Runs what is attacked to its end, with the action at its `at`th call.
    pub(crate) fn run(&self, class: Class<'_>, action: Action, at: u64, seconds: u64) -> Option<Report> {
        let command = match self.scenario.attacked {
            Attacked::Start | Attacked::StartAfterRotation => {
                self.env.command(&[&["-once"], self.scenario.flags()].concat())
            }
            Attacked::Cancel => {
                let (command, over) = (self.env.command(self.scenario.flags()), AtomicBool::new(false));
                return std::thread::scope(|scope| {
                    scope.spawn(|| self.cancel_and_stop(&over));
                    let report = at_call(&command, (class, action, at), seconds, &self.env.path("."));
                    over.store(true, Ordering::Release);
                    report
                });
            }
            Attacked::Restore => {
                let mut command = self.env.bare_command();
                command.args(["backup", "restore", "-handoff"]).arg(self.env.path("handoff"));
                command.arg("--backup-dir").arg(self.env.path("backups"));
                command
            }
        };
        at_call(&command, (class, action, at), seconds, &self.env.path("."))
    }

    /// Cancels the intent as soon as a daemon answers, then stops the daemon; gives up when that is over.
    fn cancel_and_stop(&self, over: &AtomicBool) {
        while !over.load(Ordering::Acquire) {
            if self.cancel().is_ok() {
                let status = self.env.operate(&["status", "--json"]).stdout;
                let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
                let pid = status["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
                // It may have ended meanwhile.
                let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Cancels the intent, unless it has its outcome already. The error: what the command said.
    fn cancel(&self) -> Result<(), String> {
        let told = self.env.operate(&["cancel", CANCELLED]);
        let ended = told.stderr.contains("only what waits can be cancelled");
        if told.status.code() == Some(0) || ended { Ok(()) } else { Err(told.stderr) }
    }

    /// Ends the hold and waits for what it kept back. An operator who was not answered cancels again.
    fn release(&self) -> Result<(), String> {
        let daemon = self.env.start_ready(self.scenario.flags());
        if self.scenario.attacked == Attacked::Cancel {
            self.cancel().map_err(|told| format!("not cancelled after the restart: {told}"))?;
            self.env.wait_status(CANCELLED);
        }
        let released = self.env.operate(&["release", &format!("test/{HELD}")]);
        if released.status.code() != Some(0) {
            return Err(format!("the hold is gone: {}", released.stderr));
        }
        self.env.wait_status("intent-held.json");
        daemon.stop().expect(0);
        let entries = trail::entries(&self.env).into_iter();
        let cancelled =
            entries.filter(|entry| entry.detail.get("action").is_some_and(|done| done == "cancel"));
        let numbers: Vec<Option<Seq>> = cancelled.map(|entry| entry.intent).collect();
        if self.scenario.attacked == Attacked::Cancel && numbers != [Some(Seq(1))] {
            return Err(format!("the audit trail has cancelled {numbers:?}, not the first one once"));
        }
        Ok(())
    }

    /// Runs the daemon undisturbed, then checks the promise.
    pub(crate) fn recover_and_check(&self, kills: usize, any_ending: bool) -> Result<(), String> {
        let mut finished = self.env.once(self.scenario.flags());
        if self.scenario.attacked == Attacked::Restore && finished.status.code() == Some(1) {
            // A state that is not restored refuses the start; the operator restores it.
            let restored = operate(&self.env, &["backup", "restore"]);
            if !finished.stderr.contains("E4") || restored.status.code() != Some(0) {
                return Err(format!("the start: {}, the restore: {}", finished.stderr, restored.stderr));
            }
            finished = self.env.once(self.scenario.flags());
        }
        if self.scenario.attacked.holds() {
            self.release()?;
        }
        if !matches!(finished.status.code(), Some(0 | 8)) {
            return Err(format!("the next start ended with {}: {}", finished.status, finished.stderr));
        }
        let mut dropped = self.dropped.clone();
        if any_ending {
            dropped
                .iter_mut()
                .filter(|one| one.ending != Ending::Before)
                .for_each(|one| one.ending = Ending::Any);
        }
        promise::check(&self.env, &dropped, kills, !self.scenario.builtin)?;
        // Every status is signed and every entry of the audit trail stands, whichever key was in use.
        for words in [&["verify"][..], &["audit", "verify"]] {
            let found = self.env.operate(words);
            if found.status.code() != Some(0) {
                return Err(format!("{words:?}: {}{}", found.stdout, found.stderr));
            }
        }
        self.package(any_ending)
    }

    /// Checks that the embedded engine's package holds the replicas of the last success.
    fn package(&self, any_ending: bool) -> Result<(), String> {
        if !self.scenario.builtin {
            return Ok(());
        }
        let path = self.env.path("out/test/web-scaling/deployment.yaml");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let wanted = self.scenario.dropped.last().map(|(_, _, replicas)| format!("replicas: {replicas}\n"));
        if wanted.is_some_and(|wanted| text.ends_with(&wanted)) || any_ending {
            return Ok(());
        }
        Err(format!("the package is not what was asked for: {text}"))
    }
}
