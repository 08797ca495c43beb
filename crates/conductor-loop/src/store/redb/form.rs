//! The forms of values as bytes. Bytes are accepted only if they are exactly what this program writes, or wrote in an
//! earlier version.

use super::version::VERSION;
use crate::store::pending::{Start, Unfinished};
use crate::store::{BadRecord, StoreError};
use conductor_core::record::{self, Claim};
use conductor_core::{Attempt, Seq};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

/// The form of a table's values as bytes.
pub(super) trait Form {
    /// The type written.
    type Given<'g>;
    /// The type read.
    type Taken;
    /// Whether every value is empty.
    const EMPTY: bool = false;
    /// The value as bytes.
    fn write(given: Self::Given<'_>) -> Result<Vec<u8>, StoreError>;
    /// The value of these bytes; the error names their defect.
    fn read(bytes: &[u8]) -> Result<Self::Taken, StoreError>;
}

/// JSON after a version byte and a checksum.
pub(super) struct Json<T>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned + 'static> Form for Json<T> {
    type Given<'g> = &'g T;
    type Taken = T;

    fn write(given: &T) -> Result<Vec<u8>, StoreError> {
        to_json(given)
    }

    fn read(bytes: &[u8]) -> Result<T, StoreError> {
        from_json(bytes)
    }
}

/// JSON of a type that depends on the key; see [`super::layout::Note`].
pub(super) struct Text;

impl Form for Text {
    type Given<'g> = Vec<u8>;
    type Taken = Vec<u8>;

    fn write(given: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        Ok(given)
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(bytes.to_vec())
    }
}

/// Bytes, unchanged.
pub(super) struct Bytes;

impl Form for Bytes {
    type Given<'g> = &'g [u8];
    type Taken = Vec<u8>;

    fn write(given: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(given.to_vec())
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(bytes.to_vec())
    }
}

/// No bytes: the key is the whole row.
pub(super) struct Nothing;

impl Form for Nothing {
    type Given<'g> = ();
    type Taken = ();
    const EMPTY: bool = true;

    fn write((): ()) -> Result<Vec<u8>, StoreError> {
        Ok(Vec::new())
    }

    fn read(bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.is_empty() { Ok(()) } else { Err(BadRecord::Form.into()) }
    }
}

/// A sequence number, big endian.
pub(super) struct Number;

impl Form for Number {
    type Given<'g> = Seq;
    type Taken = Seq;

    fn write(given: Seq) -> Result<Vec<u8>, StoreError> {
        Ok(given.get().to_be_bytes().to_vec())
    }

    fn read(bytes: &[u8]) -> Result<Seq, StoreError> {
        Ok(Seq(u64::from_be_bytes(bytes.try_into().map_err(|_| BadRecord::Cut)?)))
    }
}

/// A recorded start: its number, big endian, and whether it is known to have happened.
pub(super) struct Begun;

impl Form for Begun {
    type Given<'g> = Start;
    type Taken = Start;

    fn write(Start { attempt, happened }: Start) -> Result<Vec<u8>, StoreError> {
        let mut bytes = attempt.get().to_be_bytes().to_vec();
        bytes.push(u8::from(happened));
        Ok(bytes)
    }

    fn read(bytes: &[u8]) -> Result<Start, StoreError> {
        match bytes.split_first_chunk::<4>() {
            Some((attempt, &[happened @ (0 | 1)])) => {
                Ok(Start { attempt: Attempt(u32::from_be_bytes(*attempt)), happened: happened == 1 })
            }
            Some(_) => Err(BadRecord::Form.into()),
            None => Err(BadRecord::Cut.into()),
        }
    }
}

/// An unfinished intent, claim and bytes in one value: the length of the claim, the claim, a mark, the bytes. Bytes are read
/// with [`parse`], which does not copy them.
pub(super) struct Intent;

impl Form for Intent {
    type Given<'g> = (Option<&'g Claim>, Option<&'g [u8]>);
    type Taken = Option<Claim>;

    fn write(given: Self::Given<'_>) -> Result<Vec<u8>, StoreError> {
        let (claim, bytes) = given;
        let head = to_json(&claim)?;
        let length = u32::try_from(head.len()).map_err(|_| StoreError::TooLarge)?;
        let body = bytes.unwrap_or_default();
        let mut value = Vec::with_capacity(5 + head.len() + body.len());
        value.extend(length.to_be_bytes());
        value.extend(&head);
        value.push(u8::from(bytes.is_some()));
        value.extend(body);
        Ok(value)
    }

    /// The claim without the bytes.
    fn read(bytes: &[u8]) -> Result<Option<Claim>, StoreError> {
        Ok(parse(bytes)?.claim)
    }
}

/// The parts of a value of [`Intent`].
pub(super) fn parse(value: &[u8]) -> Result<Unfinished<'_>, StoreError> {
    let (length, rest) = value.split_first_chunk::<4>().ok_or(BadRecord::Cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BadRecord::Cut)?;
    let (head, rest) = rest.split_at_checked(length).ok_or(BadRecord::Cut)?;
    let (mark, body) = rest.split_first().ok_or(BadRecord::Cut)?;
    let bytes = match (mark, body) {
        (0, []) => None,
        (1, body) => Some(body),
        _ => return Err(BadRecord::Form.into()),
    };
    Ok(Unfinished { claim: from_json(head)?, bytes })
}

/// Whether a value of [`Intent`] has a checksum over its claim.
pub(super) fn has_summed_claim(value: &[u8]) -> bool {
    value.get(4..).is_some_and(is_summed)
}

/// The version byte of JSON with a checksum. Records of version 1, of earlier versions of this program, have none.
const SUMMED: u8 = 2;

/// Whether JSON has a checksum.
pub(super) fn is_summed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&SUMMED)
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let body = serde_json::to_vec(value).map_err(StoreError::Unwritable)?;
    let mut bytes = vec![SUMMED];
    bytes.extend(checksum(&body).to_be_bytes());
    bytes.extend(body);
    Ok(bytes)
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let body = match bytes.split_first() {
        Some((&record::VERSION, body)) => body,
        Some((&SUMMED, rest)) => match rest.split_first_chunk::<8>() {
            Some((sum, body)) if u64::from_be_bytes(*sum) == checksum(body) => body,
            _ => return Err(BadRecord::Checksum.into()),
        },
        Some((version, _)) => {
            return Err(StoreError::Version { found: u32::from(*version), known: VERSION });
        }
        None => return Err(BadRecord::Empty.into()),
    };
    serde_json::from_slice(body).map_err(|error| BadRecord::Json(error).into())
}

/// FNV-1a: against decay, not against attackers.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_and_others_are_no_record() {
        let start = Start { attempt: Attempt(258), happened: true };
        let bytes = Begun::write(start).unwrap();
        assert_eq!(Begun::read(&bytes).unwrap(), start);
        assert_eq!(Number::read(&Number::write(Seq::MAX).unwrap()).unwrap(), Seq::MAX);
        Nothing::read(&Nothing::write(()).unwrap()).unwrap();
        let bad = [
            Begun::read(&bytes[..4]).is_err(),
            Begun::read(&[0, 0, 0, 1, 2]).is_err(),
            Begun::read(&[bytes.as_slice(), &[0]].concat()).is_err(),
            Number::read(&[0; 7]).is_err(),
            Nothing::read(&[0]).is_err(),
            from_json::<u64>(&[]).is_err(),
            from_json::<u64>(&[3, b'1']).is_err(),
        ];
        assert_eq!(bad, [true; 7]);
    }

    #[test]
    fn a_record_that_has_no_form_as_bytes_is_a_failure_and_not_an_empty_record() {
        // JSON has no maps whose keys are lists.
        let unwritable = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert!(matches!(to_json(&unwritable), Err(StoreError::Unwritable(_))));
    }
}
