//! The mle-toolbox's own way to write `mle run` and `mle report`, made into ours.

use std::ffi::OsString;

/// Flags with one dash and several letters, which our parser would take for several flags of one letter.
const RUN: [(&str, &str); 9] = [
    ("-nw", "--no_welcome"),
    ("-np", "--no_protocol"),
    ("-d", "--debug"),
    ("-del", "--keep_after_upload"),
    ("-reconnect", "--remote_reconnect"),
    ("-resource", "--resource_to_run"),
    ("-exp_dir", "--experiment_dir"),
    ("-train_fname", "--base_train_fname"),
    ("-train_config", "--base_train_config"),
];
const REPORT: [(&str, &str); 2] = [("-e_id", "--experiment_id"), ("-use_last", "--use_last_id")];

/// Rewrites the words of a command line; those of other verbs stay as they are.
///
/// `--purpose` there takes all words up to the next flag. So it does here when the spec came before it; else the next word
/// alone is the purpose.
pub(super) fn rewrite(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.into_iter().collect();
    let mut out: Vec<OsString> = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    out.extend(words.next());
    // What comes before the verb are flags for all verbs; only --db has a value.
    while let Some(word) = words.next() {
        let takes_value = word == "--db";
        let is_verb = !word.to_string_lossy().starts_with('-');
        out.push(word);
        if is_verb {
            break;
        }
        if takes_value {
            out.extend(words.next());
        }
    }
    let known: &[(&str, &str)] = match out.last().and_then(|verb| verb.to_str()) {
        Some("run") => &RUN,
        Some("report") => &REPORT,
        _ => &[],
    };
    let is_run = known.len() == RUN.len();
    let verb = out.len();
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            break;
        }
        match known.iter().find(|(theirs, _)| word == *theirs) {
            Some((_, ours)) => out.push(ours.into()),
            None if is_run && (word == "-p" || word == "--purpose") => {
                let begins_flag = |word: &OsString| word.to_string_lossy().starts_with('-');
                let has_spec = out.get(verb).is_some_and(|first| !begins_flag(first));
                let mut purpose = OsString::new();
                let mut count = 0;
                while (count == 0 || has_spec)
                    && let Some(next) = words.next_if(|next| !begins_flag(next))
                {
                    if count > 0 {
                        purpose.push(" ");
                    }
                    purpose.push(next);
                    count += 1;
                }
                out.push(word);
                out.extend((count > 0).then_some(purpose));
            }
            None => out.push(word),
        }
    }
    out.extend(words);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_toolbox_s_flags_are_rewritten() {
        let of = |line: &str| {
            let words = shell_words::split(line).unwrap().into_iter().map(OsString::from);
            let words = rewrite(words).into_iter().map(|word| word.into_string().unwrap());
            shell_words::join(words)
        };
        for (line, wanted) in [
            (
                "mle run a.yaml -nw -np -resource local -exp_dir d -p Test report generation -d",
                "mle run a.yaml --no_welcome --no_protocol --resource_to_run local --experiment_dir d -p 'Test report generation' --debug",
            ),
            ("mle --db -nw run -p why a.yaml", "mle --db -nw run -p why a.yaml"),
            ("mle run -- prog -nw -p a b", "mle run -- prog -nw -p a b"),
            ("mle run s.yaml -w 2 --purpose", "mle run s.yaml -w 2 --purpose"),
            ("mle report -e_id 3", "mle report --experiment_id 3"),
            ("mle report -use_last", "mle report --use_last_id"),
            ("mle logs -nw", "mle logs -nw"),
            ("mle --json", "mle --json"),
            ("mle", "mle"),
        ] {
            assert_eq!(of(line), wanted, "{line}");
        }
    }
}
