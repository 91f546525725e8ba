//! Keeps secrets out of what is recorded: command lines are shared with the file.

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// Parts of a name that mean a secret.
const SECRET: &[&str] = &["key", "token", "secret", "pass", "credential", "authorization"];

/// Common words with such a part that mean none: hiding `--max-tokens 512` would lose what was done.
const HARMLESS: &[&str] = &[
    "keypoint",
    "keyframe",
    "keyboard",
    "keyword",
    "monkey",
    "turkey",
    "tokenizer",
    "tokeniser",
    "tokenize",
    "tokens",
    "num_token",
    "passes",
    "passage",
    "bypass",
    "compass",
    "passthrough",
    "pass_through",
    "num_pass",
    "passive",
    "key_dim",
    "key-dim",
    "num_key",
    "num-key",
    "key_size",
    "key-size",
];

/// Returns whether the value of an environment variable of this name must not be kept, whatever it is.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL"].iter().any(|part| name.contains(part))
}

/// Returns the words of a command line with the values of secrets hidden: `--api-key X`, `--api-key=X`, `token=X`,
/// `API_KEY=X` (also inside a longer word, as in `sh -c`), a `Bearer` header, and the password of a URL.
pub fn scrub(words: &[String]) -> Vec<String> {
    let mut hide_next = false;
    words
        .iter()
        .map(|word| {
            let hide = std::mem::replace(&mut hide_next, is_secret_flag(word));
            if hide && !word.starts_with("--") {
                hide_next = false;
                return HIDDEN.to_owned();
            }
            scrub_text(word)
        })
        .collect()
}

/// A flag whose value is the next word.
fn is_secret_flag(word: &str) -> bool {
    word.len() > 1
        && word.starts_with('-')
        && !word.contains(['=', ' ', '\t', '\n'])
        && names_secret(word)
}

fn names_secret(name: &str) -> bool {
    let mut name = name.to_ascii_lowercase();
    for harmless in HARMLESS {
        name = name.replace(harmless, "");
    }
    SECRET.iter().any(|part| name.contains(part))
}

/// Scrubs the pieces of a word that may itself be a command line.
fn scrub_text(text: &str) -> String {
    if !text.contains(char::is_whitespace) {
        return scrub_piece(text);
    }
    let (mut out, mut hide_next) = (String::with_capacity(text.len()), false);
    for piece in text.split_inclusive(char::is_whitespace) {
        let bare = piece.trim_end();
        if bare.is_empty() {
            out.push_str(piece);
            continue;
        }
        let hide = std::mem::replace(&mut hide_next, hides_next(bare));
        if hide && !bare.starts_with("--") && !hide_next {
            // A closing quote stays, so that the rest of a shell's text still reads right.
            out.push_str(HIDDEN);
            out.extend(bare.chars().next_back().filter(|c| matches!(c, '"' | '\'')));
        } else {
            out.push_str(&scrub_piece(bare));
        }
        out.push_str(&piece[bare.len()..]);
    }
    out
}

/// A flag, a header's name (`X-Api-Key:`, `Authorization:`) or the word before a token.
fn hides_next(piece: &str) -> bool {
    let bare = piece.trim_matches(|c| matches!(c, '"' | '\''));
    is_secret_flag(bare)
        || bare.eq_ignore_ascii_case("bearer")
        || bare.strip_suffix(':').is_some_and(names_secret)
}

fn scrub_piece(piece: &str) -> String {
    for separator in ['=', ':'] {
        if let Some((name, value)) = piece.split_once(separator)
            && !value.is_empty()
            && !value.starts_with("//")
            && names_secret(name)
        {
            return format!("{name}{separator}{HIDDEN}");
        }
    }
    scrub_url(piece)
}

/// `scheme://user:password@host` keeps all but the password.
fn scrub_url(piece: &str) -> String {
    let Some((scheme, rest)) = piece.split_once("://") else { return piece.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':')) {
        Some((user, password)) => {
            let after = &rest[user.len() + 1 + password.len()..];
            format!("{scheme}://{user}:{HIDDEN}{after}")
        }
        None => piece.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(words: &[&str]) -> String {
        scrub(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).join(" ")
    }

    #[test]
    fn values_of_secrets_are_hidden_in_every_form() {
        for (words, expected) in [
            (&["train", "--api-key", "hunter2", "--lr", "0.1"][..], "train --api-key *** --lr 0.1"),
            (&["train", "--api-key=hunter2"], "train --api-key=***"),
            (&["train", "-wandb_token", "-hunter2"], "train -wandb_token ***"),
            (&["train", "optim.key=hunter2", "n=3"], "train optim.key=*** n=3"),
            (&["env", "API_KEY=hunter2", "PASSWORD=x=y"], "env API_KEY=*** PASSWORD=***"),
            (&["train", "--credentials", "hunter2"], "train --credentials ***"),
            (
                &["sh", "-c", "export DB_PASS=hunter2; train --secret hunter2 -v"],
                "sh -c export DB_PASS=*** train --secret *** -v",
            ),
            (&["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization: Bearer ***"),
            (&["curl", "-H", "X-Api-Key: hunter2"], "curl -H X-Api-Key: ***"),
            (&["curl", "https://me:hunter2@host/x?y#z"], "curl https://me:***@host/x?y#z"),
            (&["train", "--api-key", "--lr", "1"], "train --api-key --lr 1"),
        ] {
            assert_eq!(scrubbed(words), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for words in [
            &["train", "--max-tokens", "512", "--tokenizer", "gpt2", "--keypoints=17"][..],
            &["train.py", "--lr", "0.1", "monkey", "https://host/a:b@c"],
            &["python", "train tokenizer.py", "-c", "a b"],
        ] {
            assert_eq!(scrubbed(words), words.join(" "));
        }
    }

    #[test]
    fn names_of_variables_are_taken_strictly() {
        for name in ["WANDB_API_KEY", "hf_token", "PGPASSWORD", "GOOGLE_APPLICATION_CREDENTIALS"] {
            assert!(is_secret_name(name));
        }
        assert!(!is_secret_name("CUDA_VISIBLE_DEVICES"));
    }
}
