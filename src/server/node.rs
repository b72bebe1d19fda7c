//! By which name the machines that share a catalog know this one: random, made once, and kept in the
//! data folder, so that whoever has a source on its disk is found again after a restart.

use std::path::Path;

use crate::error::{Error, Result};
use crate::media::AssetId;

/// File in the data folder.
const FILE: &str = "node";

/// The name of the machine whose data folder that is.
///
/// # Errors
/// What the file system says.
pub(super) fn name(data: &Path) -> Result<String> {
    let path = data.join(FILE);
    let failed = |e| {
        Error::io(
            format!("keeping this machine's name in {}", path.display()),
            e,
        )
    };
    match std::fs::read_to_string(&path) {
        // An empty one was cut off while it was made.
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let mut bits = [0; 10];
    getrandom::fill(&mut bits)
        .map_err(|e| Error::internal(format!("no random numbers for a name: {e}")))?;
    let name = AssetId::from_random(bits).to_string();
    std::fs::write(&path, format!("{name}\n")).map_err(failed)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_and_differs_between_machines() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(here.path().join(FILE), "").unwrap();
        let mine = name(here.path()).unwrap();
        assert_eq!(name(here.path()).unwrap(), mine);
        assert_ne!(name(there.path()).unwrap(), mine);
    }
}
