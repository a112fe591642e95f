/* Writes a file aside, syncs it and renames it: see writer.h. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "files/writer.h"

#include "files/path.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static ct_status cannot_write(ct_writer *w, int error)
{
    return ct_report(w->ctx, CT_ERR_IO, "%s: cannot write: %s", w->name, strerror(error));
}

static ct_status out_of_memory(ct_writer *w)
{
    return ct_report(w->ctx, CT_ERR_MEMORY, "%s: no memory to write the file", w->name);
}

/* ".1234-5.tmp" */
#define SUFFIX_BYTES 64

/* A file beside the target that was not there. */
static int open_aside(ct_writer *w)
{
    static atomic_uint count;
    for (int tries = 0; tries < 100; tries++) {
        snprintf(w->aside, strlen(w->target) + SUFFIX_BYTES, "%s.%ld-%u.tmp", w->target, (long)getpid(),
                 atomic_fetch_add(&count, 1));
        int fd = open(w->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* The names of target and aside. A link is followed, so that it stays one. */
static ct_status name_files(ct_writer *w, const char *path, bool exists)
{
    w->target = ct_alloc(w->ctx, PATH_MAX);
    if (!w->target) return out_of_memory(w);
    if (exists && !realpath(path, w->target)) return cannot_write(w, errno);
    if (!exists && strlen(path) >= PATH_MAX) return cannot_write(w, ENAMETOOLONG);
    if (!exists) strcpy(w->target, path);
    w->aside = ct_alloc(w->ctx, strlen(w->target) + SUFFIX_BYTES);
    return w->aside ? CT_OK : out_of_memory(w);
}

static void free_names(ct_writer *w)
{
    ct_free(w->ctx, w->target);
    ct_free(w->ctx, w->aside);
    w->target = w->aside = NULL;
}

ct_status ct_writer_open(ct_writer *w, ct_context *ctx, const char *path)
{
    *w = (ct_writer){.ctx = ctx, .name = ct_path_text(path)};
    struct stat info;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) return cannot_write(w, EISDIR);
    if (exists && access(path, W_OK) != 0) return cannot_write(w, errno); /* a rename would not ask */

    int fd;
    if (exists && (!S_ISREG(info.st_mode) || strncmp(path, "/dev/", 5) == 0)) {
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    } else {
        ct_status status = name_files(w, path, exists);
        if (status) return free_names(w), status;
        fd = open_aside(w);
        if (fd >= 0 && exists) (void)fchmod(fd, info.st_mode & 07777);
    }
    if (fd >= 0) w->file = fdopen(fd, "wb");
    if (w->file) return CT_OK;
    ct_status status = cannot_write(w, errno);
    if (fd >= 0) close(fd);
    if (fd >= 0 && w->aside) unlink(w->aside);
    free_names(w);
    return status;
}

void ct_writer_write(ct_writer *w, const void *bytes, size_t n)
{
    if (!w->error && fwrite(bytes, 1, n, w->file) != n) w->error = errno ? errno : EIO;
}

/* The rename itself is on the disk once the folder is; where a folder cannot be synced, so be it. */
static void sync_folder(char *target)
{
    char *slash = strrchr(target, '/');
    if (slash) slash[slash == target] = 0;
    int fd = open(slash ? target : ".", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

ct_status ct_writer_commit(ct_writer *w)
{
    int error = w->error;
    if (!error && (fflush(w->file) != 0 || (w->target && fsync(fileno(w->file)) != 0))) error = errno;
    if (fclose(w->file) != 0 && !error) error = errno;
    w->file = NULL;
    if (!error && w->target && rename(w->aside, w->target) != 0) error = errno;
    if (!error && w->target) sync_folder(w->target);
    ct_status status = error ? cannot_write(w, error) : CT_OK;
    if (error && w->aside) unlink(w->aside);
    free_names(w);
    return status;
}

void ct_writer_abandon(ct_writer *w)
{
    if (!w->file) return;
    fclose(w->file);
    w->file = NULL;
    if (w->aside) unlink(w->aside);
    free_names(w);
}
