//! The flags that change the policy, shared by `package` and `plan`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};
use crate::media::{Passthrough, Policy, Preset};

/// Policy file and the flags that override it.
#[derive(Debug, Args)]
pub(super) struct PolicyArguments {
    /// Policy file (TOML); flags override it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Rungs to make, by the short side of the picture
    #[arg(long, value_name = "1080,720,..", value_delimiter = ',')]
    rungs: Option<Vec<u32>>,
    /// Nominal segment length
    #[arg(long, value_name = "S")]
    segment_seconds: Option<u32>,
    /// Repackage the source's own samples instead of encoding anew
    #[arg(long, value_enum)]
    passthrough: Option<PassthroughArgument>,
    /// Encoder effort, in x264's names
    #[arg(long, value_name = "P", value_parser = parse_preset)]
    preset: Option<Preset>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PassthroughArgument {
    /// Where the source already is what would be made of it
    Auto,
    /// Encode everything
    Never,
    /// Repackage everything, decode nothing
    Only,
}

fn parse_preset(name: &str) -> Result<Preset, String> {
    Preset::ALL
        .into_iter()
        .find(|preset| preset.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = Preset::ALL.into_iter().map(Preset::name).collect();
            format!("one of {}", names.join(", "))
        })
}

impl PolicyArguments {
    /// The policy that file and flags ask for.
    pub(super) fn policy(&self) -> Result<Policy> {
        let mut policy = match &self.policy {
            None => Policy::default(),
            Some(path) => read_policy(path)?,
        };
        if let Some(rungs) = &self.rungs {
            policy.rungs.clone_from(rungs);
        }
        if let Some(seconds) = self.segment_seconds {
            policy.segment_seconds = seconds;
            policy.gop_seconds = policy.gop_seconds.min(seconds);
        }
        if let Some(preset) = self.preset {
            policy.preset = preset;
        }
        match self.passthrough {
            None => {}
            Some(PassthroughArgument::Auto) => policy.passthrough = Passthrough::Auto,
            Some(PassthroughArgument::Never) => policy.passthrough = Passthrough::Never,
            Some(PassthroughArgument::Only) => policy.passthrough = Passthrough::Only,
        }
        policy.check()?;
        Ok(policy)
    }
}

fn read_policy(path: &PathBuf) -> Result<Policy> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::io(format!("reading the policy {}", path.display()), e))?;
    toml::from_str(&text).map_err(|e| Error::invalid(format!("policy {}: {e}", path.display())))
}
