//! Command lines as documents show them.

/// The words of every line of `text` that begins with `program`, as a shell would part them; the shell's `sudo` before it
/// and what it does with the output are left out.
pub fn of(program: &str, text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    let variables: Vec<(&str, &str)> = lines
        .clone()
        .filter_map(|line| line.split_once("=\""))
        .filter(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase()))
        .map(|(name, value)| (name, value.trim_end_matches('"')))
        .collect();
    lines
        .map(|line| line.strip_prefix("sudo ").unwrap_or(line))
        .filter(|line| line.split(' ').next() == Some(program))
        .map(|line| {
            let line = variables
                .iter()
                .fold(line.to_owned(), |line, (name, value)| {
                    line.replace(&format!("${name} "), &format!("{value} "))
                });
            words(&line)
        })
        .collect()
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars().chain([' ']) {
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
            word.get_or_insert_default();
        } else if quote.is_some() || c != ' ' {
            // A comment, a redirection, the next command, or an aside.
            if quote.is_none() && word.is_none() && ['#', '>', '|', '&', '('].contains(&c) {
                break;
            }
            word.get_or_insert_default().push(c);
        } else {
            words.extend(word.take());
        }
    }
    words
}

/// The examples of a command and of those below it, as `--help` shows them.
pub fn examples(command: &clap::Command) -> String {
    let own = [command.get_after_help(), command.get_after_long_help()];
    let mut text: String = own
        .into_iter()
        .flatten()
        .map(|help| format!("{help}\n"))
        .collect();
    text.extend(command.get_subcommands().map(examples));
    text
}
