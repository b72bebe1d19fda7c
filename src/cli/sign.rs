//! `headwater sign PATH`: a token of ours for what lies under a path, as a query or a cookie.

use std::path::PathBuf;

use super::{print, print_json, validity};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::signing::{Claims, TOKEN_NAME, TokenKeys, set_cookie};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The path it is for: `/v/cats/` with all below it, or one object's
    path: String,
    /// The file of token keys: an id, a space and a secret on each line; the first makes tokens
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    #[command(flatten)]
    validity: validity::When,
    /// Print a cookie rather than a query
    #[arg(long)]
    cookie: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let shown = arguments.keys.display();
    let text = std::fs::read_to_string(&arguments.keys);
    let text = text.map_err(|e| Error::io(format!("reading {shown}"), e))?;
    let keys = TokenKeys::parse(&text).map_err(|e| e.context(shown))?;
    let validity = arguments.validity.validity(&Clock::system())?;
    let token = keys.make(&Claims {
        path: arguments.path.clone(),
        until: validity.until,
        from: validity.from,
        network: validity.network,
    })?;
    if arguments.json {
        return print_json(&serde_json::json!({ "token": token, "until": validity.until }));
    }
    match arguments.cookie {
        false => print(&format!("{TOKEN_NAME}={token}\n")),
        true => {
            let cookie = set_cookie(TOKEN_NAME, &token, &arguments.path);
            print(&format!("Set-Cookie: {cookie}\n"))
        }
    }
}
