//! The pre-authentication encoding of DSSE 1.0 (Dead Simple Signing Envelope): the bytes that are signed, so that neither
//! type nor payload can be taken for the other; and the base64 in which an envelope carries both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The bytes to be signed for a payload of this type.
pub fn dsse_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Bytes in base64 (RFC 4648, with padding).
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a text in base64, if it is one.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the DSSE protocol document.
    #[test]
    fn the_encoding_is_that_of_the_protocol() {
        let encoded = dsse_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
