//! An auditor of exported chains of attempts: recomputes every hash from the file alone, as `docs/SEMANTICS.md` states.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// An exported attempt.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The hash, in hexadecimal digits.
    pub hash: String,
    /// The fields of the canonical row.
    pub row: Vec<String>,
    /// The username to which the commitment in the row belongs; `None` if the file does not contain it.
    pub user: Option<String>,
}

/// The attempts of each term by their numbers.
pub type Chains = BTreeMap<String, BTreeMap<u64, Exported>>;

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits")).collect()
}

/// Verifies an exported file.
///
/// # Errors
/// A text that states the fault of the first incorrect line.
pub fn audit(text: &str) -> Result<Chains, String> {
    let mut chains = Chains::new();
    let mut open: Option<(String, u64, String)> = None;
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        match value["type"].as_str() {
            Some("chain") => {
                let after = &value["after"];
                let hash = after["hash"].as_str().unwrap_or_default().to_owned();
                open = Some((text("term"), after["n"].as_u64().unwrap_or(0), hash));
                chains.insert(text("term"), BTreeMap::new());
            }
            Some("student") => {
                if let Some(salt) = value["salt"].as_str() {
                    let computed = Sha256::new().chain_update(bytes(salt)).chain_update(text("user")).finalize();
                    if hexadecimal(&computed) != text("commitment") {
                        return Err(format!("the commitment does not match the name: {line}"));
                    }
                }
                names.insert(text("commitment"), text("user"));
            }
            Some("attempt") => {
                let Some((term, n, hash)) = &mut open else { return Err(format!("no chain: {line}")) };
                let row = text("row");
                *hash = hexadecimal(&Sha256::new().chain_update(bytes(hash)).chain_update(&row).finalize());
                *n += 1;
                let fields: Vec<String> = row.split('\t').map(str::to_owned).collect();
                let is_next =
                    value["n"] == *n && fields.len() == 14 && fields[1] == *term && fields[2] == n.to_string();
                if !is_next || text("hash") != *hash {
                    return Err(format!("not attempt {n} with the hash {hash}: {line}"));
                }
                let user = names.get(&fields[5]).cloned();
                let exported = Exported { hash: hash.clone(), row: fields, user };
                chains.get_mut(term).expect("a chain").insert(*n, exported);
            }
            Some("end") => {
                let Some((term, n, hash)) = open.take() else { return Err(format!("no chain: {line}")) };
                let head = &value["head"];
                if text("term") != term || head["n"] != n || head["hash"] != *hash {
                    return Err(format!("the chain ends with attempt {n}, {hash}: {line}"));
                }
            }
            _ => return Err(format!("an unknown line: {line}")),
        }
    }
    if open.is_some() { Err("the last chain has no end".to_owned()) } else { Ok(chains) }
}

/// Verifies an exported file, which must be correct.
pub fn read(file: &Path) -> Chains {
    let text = std::fs::read_to_string(file).expect("the exported file");
    audit(&text).unwrap_or_else(|wrong| panic!("{wrong}"))
}
