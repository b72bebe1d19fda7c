//! `headwater sign PATH`: a token of ours for what lies under a path, as a query or a cookie; with
//! `--new-key` a key that makes them.

use std::path::PathBuf;

use super::{print, print_json, validity};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::signing::{Claims, TOKEN_NAME, TokenKeys, set_cookie};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The path it is for, without escapes: `/v/cats/` with all below it, or one object's
    #[arg(required = true)]
    path: Option<String>,
    /// The file of token keys: an id, a space and a secret on each line; the first makes tokens
    #[arg(long, value_name = "FILE", required = true)]
    keys: Option<PathBuf>,
    #[command(flatten)]
    validity: validity::When,
    /// Print a cookie rather than a query
    #[arg(long)]
    cookie: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print a line for the file of token keys, with a new random secret, and sign nothing
    #[arg(long, value_name = "ID", exclusive = true)]
    new_key: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(id) = &arguments.new_key {
        return print(&format!("{}\n", TokenKeys::new_line(id)?));
    }
    let (Some(path), Some(file)) = (&arguments.path, &arguments.keys) else {
        return Err(Error::invalid("give a path and --keys FILE"));
    };
    let shown = file.display();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|e| Error::io(format!("reading {shown}"), e))?;
    let keys = TokenKeys::parse(&text).map_err(|e| e.context(shown))?;
    let validity = arguments.validity.validity(&Clock::system())?;
    let claims = Claims {
        path: path.clone(),
        until: validity.until,
        from: validity.from,
        network: validity.network,
    };
    let token = keys.make(&claims)?;
    if arguments.json {
        return print_json(&serde_json::json!({ "token": token, "until": validity.until }));
    }
    match arguments.cookie {
        false => print(&format!("{TOKEN_NAME}={token}\n")),
        true => {
            let cookie = set_cookie(TOKEN_NAME, &token, &claims.url_path());
            print(&format!("Set-Cookie: {cookie}\n"))
        }
    }
}
