//! A file that was judged: what it is, and the verdict on it.

use crate::payload::Payload;
use conductor_core::Digest;
use conductor_core::intent::Refusal;
use conductor_core::name::TakenName;
use conductor_core::record::Claim;
use conductor_os::dir::Meta;

/// A judged file.
#[derive(Debug)]
pub struct Judged {
    /// Its sequence number and raw name.
    pub taken: TakenName,
    /// The name to file it under.
    pub name: String,
    /// Its metadata by lstat.
    pub meta: Meta,
    /// The verdict.
    pub verdict: Verdict,
}

/// Accepted or refused.
#[derive(Debug)]
pub enum Verdict {
    /// To be claimed and run.
    Accepted {
        /// The claim to make durable.
        claim: Box<Claim>,
        /// Exactly the judged bytes.
        bytes: Payload,
    },
    /// To be filed as failed.
    Refused {
        /// The refusal.
        refusal: Refusal,
        /// The bytes, if they were read.
        bytes: Option<(Payload, Digest)>,
        /// The intent's own correlation id, if it can be read.
        correlation_id: Option<String>,
    },
}
