/* Preloaded into the frozen supervisor: names are looked up in the image's files and by DNS, nothing else.
 *
 * An image's /etc/nsswitch.conf may name modules (systemd, sss, winbind ...) that were made for the image's C library;
 * loaded into ours they may crash it.
 */
extern int __nss_configure_lookup(const char *database, const char *services);

__attribute__((constructor)) static void configure(void)
{
    static const char *const lookups[][2] = {
        {"hosts", "files dns"}, {"passwd", "files"},   {"group", "files"},
        {"services", "files"},  {"protocols", "files"}, {"networks", "files"},
    };
    for (unsigned i = 0; i < sizeof lookups / sizeof *lookups; i++)
        __nss_configure_lookup(lookups[i][0], lookups[i][1]);
}
