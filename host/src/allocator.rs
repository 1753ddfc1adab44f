//! What the C library's allocator does with the memory of tensors that are gone.

/// Keeps freed memory for the next tensors. torch takes and frees every one anew; glibc would hand the larger ones
/// back to the system, which has to clear their pages for the next layer or step: up to a third of a small student's
/// training. The price is that the program does not shrink below its peak.
///
/// Does nothing where the C library is another one than glibc.
pub(crate) fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    {
        const LARGEST: libc::c_int = 1 << 30;
        // What every glibc takes for the second setting; older ones refuse more.
        const SAFE: libc::c_int = 32 << 20;
        // SAFETY: mallopt takes two integers, checks them, locks, and touches nothing but the allocator's settings.
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGEST);
            if libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST) == 0 {
                libc::mallopt(libc::M_MMAP_THRESHOLD, SAFE);
            }
        }
    }
}
