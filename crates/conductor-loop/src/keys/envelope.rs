//! Signed envelopes (DSSE): one is made with given key pairs, or judged by given public keys.

use conductor_core::attestation::{Envelope, Signature};
use conductor_core::scrub::line;
use conductor_crypto::{SigningKey, VerifyingKey, base64, dsse_bytes, from_base64};

/// A payload with a signature of each of these keys.
pub(super) fn enveloped<'k>(
    payload_type: &str,
    payload: &[u8],
    keys: impl IntoIterator<Item = &'k (String, SigningKey)>,
) -> Envelope {
    let signed = dsse_bytes(payload_type, payload);
    let signature = |(name, identity): &(String, SigningKey)| Signature {
        keyid: name.clone(),
        sig: base64(&identity.sign(&signed)),
    };
    Envelope {
        payload_type: payload_type.to_owned(),
        payload: base64(payload),
        signatures: keys.into_iter().map(signature).collect(),
    }
}

/// The payload of an envelope of this type and the name of the trusted key that has signed it. The error says what does not match.
pub fn signed_payload(
    envelope: &Envelope,
    payload_type: &str,
    trusted: &[VerifyingKey],
) -> Result<(Vec<u8>, String), String> {
    if envelope.payload_type != payload_type {
        return Err(format!("its attestation has the payload type {}", line(&envelope.payload_type, 100)));
    }
    let payload = from_base64(&envelope.payload).ok_or("the payload of its attestation is no base64")?;
    let bytes = dsse_bytes(payload_type, &payload);
    let mut known = false;
    for signature in &envelope.signatures {
        let Some(key) = trusted.iter().find(|key| key.id().to_string() == signature.keyid) else { continue };
        known = true;
        let made = from_base64(&signature.sig).and_then(|sig| <[u8; 64]>::try_from(sig).ok());
        if made.is_some_and(|sig| key.verify(&bytes, &sig)) {
            return Ok((payload, signature.keyid.clone()));
        }
    }
    Err(if known {
        "its signature does not fit what was signed".to_owned()
    } else {
        let names: Vec<&str> = envelope.signatures.iter().map(|signature| signature.keyid.as_str()).collect();
        format!("it is signed by a key that is not trusted here ({})", line(&names.join(", "), 200))
    })
}
