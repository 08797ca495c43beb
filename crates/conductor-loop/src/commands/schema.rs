//! `schema`: the schema of intents, as it is shipped.

use super::error::CommandError;
use super::stdout::print;
use conductor_core::Exit;

/// `schema`
pub fn print_schema() -> Result<Exit, CommandError> {
    print(schema_text().as_bytes())
}

/// The shipped schema as printed and committed.
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&conductor_core::intent::schema()).unwrap_or_default();
    text.push('\n');
    text
}
