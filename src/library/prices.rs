//! What machines and storage cost, as the user says it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Bytes in what storage is billed by.
const GB: f64 = 1e9;

/// Prices in one currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// The currency's name, shown beside sums.
    pub currency: String,
    /// An hour of one core.
    pub cpu_hour: f64,
    /// A gigabyte (10^9 bytes) stored for a month.
    pub storage_gb_month: f64,
    /// A thousand puts.
    pub puts_1000: f64,
}

impl Default for Prices {
    /// About what the large clouds ask in 2026.
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            cpu_hour: 0.04,
            storage_gb_month: 0.023,
            puts_1000: 0.005,
        }
    }
}

impl Prices {
    /// Those of a TOML text.
    ///
    /// # Errors
    /// Names the line that is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        let prices: Self =
            toml::from_str(text).map_err(|e| Error::invalid(e.to_string().trim().to_owned()))?;
        let all = [prices.cpu_hour, prices.storage_gb_month, prices.puts_1000];
        if all.iter().all(|price| price.is_finite() && *price >= 0.0) {
            return Ok(prices);
        }
        Err(Error::invalid("a price is a number from 0 up"))
    }

    /// Making and writing, once.
    pub fn once(&self, cpu_millis: u64, puts: u64) -> f64 {
        self.cpu_hour * float(cpu_millis) / 3.6e6 + self.puts_1000 * float(puts) / 1e3
    }

    /// Keeping, each month.
    pub fn monthly(&self, bytes: u64) -> f64 {
        self.storage_gb_month * float(bytes) / GB
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_follow_from_prices() {
        let prices = Prices::parse("currency = \"EUR\"\ncpu_hour = 2\nputs_1000 = 1").unwrap();
        assert!((prices.once(1_800_000, 500) - 1.5).abs() < 1e-9);
        assert!((prices.monthly(2_000_000_000) - 0.046).abs() < 1e-9);
        assert!(Prices::parse("cpu_hour = -1").is_err());
        assert!(Prices::parse("gpu_hour = 1").is_err());
    }
}
