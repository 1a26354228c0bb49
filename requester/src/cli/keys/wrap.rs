//! `duckblind keys wrap`.

use duckblind_lake::keys::DataKey;
use duckblind_lake::table::{At, wrap_key};
use serde_json::json;
use zeroize::Zeroizing;

use super::WrapArgs;
use crate::cli::failure::Failure;
use crate::cli::ui::Ui;
use crate::files::{self, FileError};

pub(super) fn wrap(ui: &Ui, args: &WrapArgs) -> Result<(), Failure> {
    let malformed = || FileError::Contents {
        path: args.data_key.clone(),
        wanted: "a key of 32, 48 or 64 hex digits",
    };
    let text = files::read_secret(&args.data_key)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut bytes = Zeroizing::new(vec![0; digits.len() / 2]);
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| malformed())?;
    let key = DataKey::from_slice(&bytes).map_err(|_| malformed())?;
    let kms = args.table.keys.provider()?;
    let owner = args.table.keys.owner()?.public();
    let table = args.table.open(ui, &owner, At::Current)?;
    let wrapped = wrap_key(&table, &args.file, args.column.as_deref(), &key, &kms)?;
    let value = json!({
        "schema": "duckblind/wrapped-key/v1",
        "file": args.file,
        "key_id": wrapped.key_id,
        "column": wrapped.column,
        "wrapped": hex::encode(&wrapped.wrapped),
    });
    // It is the same for people: what they need it for is JSON, too.
    ui.value(&value);
    Ok(())
}
