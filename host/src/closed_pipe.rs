//! `hone ... | head`: a reader that has seen enough is no fault.

/// What shells report of a program that a closed pipe ended: 128 and SIGPIPE's number.
const CLOSED_PIPE: i32 = 141;

/// Ends the process without a word when printing finds that the reader has left; other panics are
/// reported as before. The signal itself stays ignored: an `ssh` that dies must not take `hone` along.
pub fn end_quietly() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>();
        if said.is_some_and(|s| s.starts_with("failed printing to ") && s.contains("Broken pipe")) {
            std::process::exit(CLOSED_PIPE);
        }
        report(info);
    }));
}
