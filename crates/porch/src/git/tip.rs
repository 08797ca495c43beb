//! The parent of an intent's commit: the tip of the branch. A missing branch begins where the operator says, never as
//! another root beside existing commits; only a repository without any commit gets a first one.

use super::target::Target;
use crate::{Outlook, PorchError};
use conductor_core::scrub;

/// Where the tip of the remote branch is kept while we work on it.
const BASE: &str = "refs/conductor-loop/base";
/// The number of branches named in a message.
const NAMED_MAX: usize = 10;

/// The refs of the repository.
#[derive(Debug, Default)]
pub(super) struct Refs {
    /// The commit of the branch, if it exists.
    pub tip: Option<String>,
    /// The branch itself, if the given name is a symbolic ref.
    pub resolved: Option<String>,
    /// The last fetched commit.
    base: Option<String>,
}

/// The parent of a new commit.
#[derive(Debug)]
pub(super) struct Tip {
    /// `None` for the first commit of a repository.
    pub commit: Option<String>,
    /// A note for the operator.
    pub note: Option<String>,
    /// The remote ref to fetch if the objects may be missing here.
    pub remote_ref: Option<String>,
}

impl Tip {
    fn at(commit: Option<String>) -> Self {
        Self { commit, note: None, remote_ref: None }
    }
}

/// The branches of a remote.
#[derive(Debug, Default)]
struct Listed {
    /// Name and commit.
    refs: Vec<(String, String)>,
    /// The branch its HEAD leads to.
    head: Option<String>,
}

impl Listed {
    /// Parses `ls-remote --symref`: "ref: NAME TAB HEAD" and "OBJECT TAB NAME".
    fn parse(listing: &[u8]) -> Self {
        let mut listed = Self::default();
        for (what, name) in String::from_utf8_lossy(listing).lines().filter_map(|line| line.split_once('\t'))
        {
            match what.strip_prefix("ref: ") {
                Some(branch) if name == "HEAD" => listed.head = Some(branch.to_owned()),
                Some(_) => {}
                None => listed.refs.push((name.to_owned(), what.to_owned())),
            }
        }
        listed
    }

    fn get(&self, wanted: &str) -> Option<String> {
        // git lists every ref with that ending.
        self.refs.iter().find(|(name, _)| name == wanted).map(|(_, commit)| commit.clone())
    }

    fn branches(&self) -> Vec<&str> {
        self.refs.iter().filter_map(|(name, _)| name.strip_prefix("refs/heads/")).collect()
    }
}

/// Whether a remote is given by its address and not by its name.
pub(super) fn is_address(remote: &str) -> bool {
    remote.contains(['/', ':'])
}

/// An address as it may be shown: what stands for a user in it may be a password or a token.
pub(super) fn without_password(address: &str) -> String {
    match address.split_once("://").and_then(|(way, rest)| Some((way, rest.split_once('@')?))) {
        Some((way, (user, place))) if !user.contains('/') => {
            let shown = if way == "ssh" { user.split(':').next().unwrap_or_default() } else { "***" };
            format!("{way}://{shown}@{place}")
        }
        _ => address.to_owned(),
    }
}

impl Target<'_> {
    /// Tip and real name of the branch, and the last fetched commit.
    pub(super) fn refs(&self) -> Result<Refs, PorchError> {
        let branch = self.branch();
        let format = "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(symref)";
        let asked = ["for-each-ref", format, branch.as_str(), BASE];
        let answer = self.git.run(&asked, &[])?;
        let mut refs = Refs::default();
        for line in String::from_utf8_lossy(&answer.stdout).lines() {
            let fields: Vec<&str> = line.split('\0').collect();
            let [name, object, kind, symbolic] = fields.as_slice() else { continue };
            match *name {
                BASE => refs.base = Some((*object).to_owned()),
                name if name == branch && *kind == "commit" => {
                    refs.tip = Some((*object).to_owned());
                    refs.resolved = Some((*symbolic).to_owned()).filter(|name| !name.is_empty());
                }
                name if name == branch => {
                    let reason = format!("{name} leads to a {kind}, not to a commit");
                    return Err(self.git.failed(&asked, reason, Outlook::Lasting));
                }
                _ => {}
            }
        }
        // git only warns of an unreadable ref; that does not mean that it is missing.
        if refs.tip.is_none() && !answer.stderr.trim().is_empty() {
            return Err(self.git.refused(&asked, &answer, Outlook::Lasting));
        }
        Ok(refs)
    }

    /// The parent of a commit to the local branch.
    pub(super) fn local_tip(&self, refs: &Refs) -> Result<Tip, PorchError> {
        match &refs.tip {
            Some(tip) => Ok(Tip::at(Some(tip.clone()))),
            None => self.local_beginning(),
        }
    }

    /// The parent of a commit that is pushed: the remote's tip.
    pub(super) fn remote_tip(&self, remote: &str, refs: &Refs) -> Result<Tip, PorchError> {
        let (branch, from) = (self.branch(), self.from());
        let mut wanted = vec!["HEAD", branch.as_str()];
        wanted.extend(from.as_deref());
        let listed = self.list(remote, &wanted)?;
        let there = |name: &str, commit: String, note: Option<String>| {
            let is_here = refs.tip.as_ref() == Some(&commit) || refs.base.as_ref() == Some(&commit);
            let remote_ref = (!is_here).then(|| name.to_owned());
            Ok(Tip { commit: Some(commit), note, remote_ref })
        };
        if let Some(tip) = listed.get(&branch) {
            return there(&branch, tip, None);
        }
        if let Some((from, commit)) =
            from.and_then(|from| Some((listed.get(&from)?, from))).map(|(c, f)| (f, c))
        {
            let shown = if from == "HEAD" { listed.head.as_deref().unwrap_or("HEAD") } else { &from };
            return there(&from, commit.clone(), Some(self.began_at(shown, &commit)));
        }
        let all = self.list(remote, &[])?;
        if all.refs.is_empty() {
            // A new remote gets the local commits.
            return self.local_tip(refs);
        }
        match &refs.tip {
            Some(tip) if self.repository.from.is_none() => {
                let note = Some(self.began_at(&format!("the local {branch}"), tip));
                Ok(Tip { note, ..Tip::at(Some(tip.clone())) })
            }
            _ => Err(self.no_branch(&format!("on {remote} "), &all.branches())),
        }
    }

    /// Fetches the tip's objects, and returns the tip again: it may have moved since.
    pub(super) fn fetched(&self, remote: &str, tip: Tip) -> Result<Tip, PorchError> {
        let Some(name) = &tip.remote_ref else { return Ok(tip) };
        self.fetch(remote, &format!("+{name}:{BASE}"))?;
        let base = self.refs()?.base;
        Ok(Tip { commit: base, remote_ref: None, ..tip })
    }

    /// Fetches one ref and nothing else: no tags, no submodules, and no ref of the configuration.
    pub(super) fn fetch(&self, remote: &str, wanted: &str) -> Result<(), PorchError> {
        let arguments = [
            &["fetch", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-prune"][..],
            &["--refmap=", "--progress", "--", remote, wanted],
        ]
        .concat();
        let fetched = self.git.ask(&arguments, &[], &[])?;
        if fetched.success { Ok(()) } else { Err(self.git.refused(&arguments, &fetched, Outlook::Passing)) }
    }

    fn list(&self, remote: &str, wanted: &[&str]) -> Result<Listed, PorchError> {
        let arguments = [&["ls-remote", "--symref", "--quiet", "--", remote], wanted].concat();
        let listed = self.git.ask(&arguments, &[], &[])?;
        if !listed.success {
            return Err(self.git.refused(&arguments, &listed, Outlook::Passing));
        }
        Ok(Listed::parse(&listed.stdout))
    }

    /// The address for reading a remote that is pushed to: a push may have another address than a fetch.
    pub(super) fn place_of_push(&self, remote: &str) -> Result<String, PorchError> {
        let configured = self.git.configured()?;
        let places = configured.push_places(remote);
        if places.len() > 1 {
            let reason = format!(
                "the remote {remote} has {} addresses, and one of them may fail; name one",
                places.len()
            );
            return Err(self.git.failed(&["push"], reason, Outlook::Lasting));
        }
        if places.is_empty() || !configured.pushes_elsewhere(remote) {
            return Ok(remote.to_owned());
        }
        Ok(self.git.run(&["remote", "get-url", "--push", "--", remote], &[])?.line())
    }

    /// The full name of the ref that a new branch begins at.
    fn from(&self) -> Option<String> {
        let from = self.repository.from.as_deref()?;
        Some(if from == "HEAD" { from.to_owned() } else { format!("refs/heads/{from}") })
    }

    fn local_beginning(&self) -> Result<Tip, PorchError> {
        if let Some(from) = self.from() {
            let commit = format!("{from}^{{commit}}");
            let answer = self.git.ask(&["rev-parse", "--verify", "--quiet", &commit], &[], &[])?;
            if answer.success {
                let note = Some(self.began_at(&from, &answer.line()));
                return Ok(Tip { note, ..Tip::at(Some(answer.line())) });
            }
        }
        let all = self.git.run(&["for-each-ref", "--format=%(refname)"], &[])?;
        let detached = self.git.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], &[], &[])?;
        if all.stdout.is_empty() && !detached.success && all.stderr.is_empty() {
            return Ok(Tip::at(None));
        }
        let text = String::from_utf8_lossy(&all.stdout).into_owned();
        let branches: Vec<&str> = text.lines().filter_map(|name| name.strip_prefix("refs/heads/")).collect();
        Err(self.no_branch("", &branches))
    }

    fn began_at(&self, from: &str, commit: &str) -> String {
        let from = from.strip_prefix("refs/heads/").unwrap_or(from);
        let short = commit.get(..12).unwrap_or(commit);
        format!("the branch {} was not there; it begins at {from} ({short})", self.branch)
    }

    fn no_branch(&self, place: &str, there: &[&str]) -> PorchError {
        let wanted = match &self.repository.from {
            Some(from) if from != "HEAD" => format!("{} or {from}", self.branch),
            _ => self.branch.clone(),
        };
        let mut names: Vec<String> = there.iter().take(NAMED_MAX).map(|name| scrub::line(name, 80)).collect();
        if there.len() > NAMED_MAX {
            names.push(format!("{} more", there.len() - NAMED_MAX));
        }
        let there = if names.is_empty() { "no branch".to_owned() } else { names.join(", ") };
        let reason = format!(
            "there is no branch {wanted} {place}(there is: {there}); name one of those, or say with `from` where a new one begins"
        );
        self.git.failed(&["branch"], reason, Outlook::Lasting)
    }
}
