//! What the C library's allocator does for a program with many threads that come and go.

/// Lets all threads share two heaps. Every viewer of the RTSP server brings an encoder's threads, and glibc
/// gives each new thread a heap of its own, up to eight for a core, none of which it gives back: memory grew with viewers
/// until all heaps were there.
///
/// Does nothing where the C library is another one than glibc.
pub(crate) fn share_heaps() {
    #[cfg(target_env = "gnu")]
    {
        const HEAPS: libc::c_int = 2;
        // SAFETY: mallopt takes two integers, checks them, locks, and touches nothing but the allocator's settings.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, HEAPS);
        }
    }
}

/// Gives pages that nothing lies in back to the system: after a viewer's encoder has gone its heaps keep megabytes in holes, more
/// or less after each.
///
/// Does nothing where the C library is another one than glibc.
#[cfg(feature = "rtsp")]
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the heaps' locks itself, and touches no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
