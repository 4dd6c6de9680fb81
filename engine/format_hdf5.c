/*
 * The HDF5 files of ann-benchmarks: base vectors in `train`, queries in `test`, true neighbours in
 * `neighbors`, the metric in the attribute `distance`. What is not squared Euclidean is refused: the
 * engine would measure something else than the file's truth.
 *
 * libhdf5 as Debian builds it is not thread-safe, and a stream reads in a thread of its own: one
 * lock stands around every call of the library. It is also the parser of what it reads, so hostile
 * files are as safe as the library is.
 */
#include "engine/format.h"

#include "engine/base/fail.h"

#ifndef WITH_HDF5

static int measure(struct rowfile *f, enum role role)
{
    (void)role;
    return fail(ERR_UNSUPPORTED,
                "%s: this build reads no HDF5: install libhdf5-dev and configure again, or convert "
                "the file to .npy or .fbin with h5py",
                f->path);
}

const struct rowformat rowformat_hdf5 = {.name = "hdf5", .holds_all = 1, .measure = measure};

#else

#include <errno.h>
#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/mem.h"

static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER; /* held around every H5 call */

struct hdf5 {
    hid_t file, set, type; /* type: of a cell in memory; -1: not open */
};

static const char *const sets[] = {"train", "test", "train", "neighbors"}; /* by enum role */

/* The library is silent: what it would print on stderr is of no use to anybody. */
static void begin(void)
{
    pthread_mutex_lock(&library);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void end(void)
{
    pthread_mutex_unlock(&library);
}

/* ---- the metric ---- */

/* A string of fixed or of variable length into word, "" for anything else. */
static void read_word(hid_t attribute, char *word, size_t size)
{
    hid_t type = H5Aget_type(attribute);
    char *text = NULL;

    *word = '\0';
    if (H5Tget_class(type) != H5T_STRING) goto out;
    if (H5Tis_variable_str(type) > 0) {
        if (H5Aread(attribute, type, &text) < 0 || !text) goto out;
        snprintf(word, size, "%s", text);
        H5free_memory(text);
    } else if (H5Tget_size(type) < size) {
        memset(word, 0, size);
        if (H5Aread(attribute, type, word) < 0) *word = '\0';
    }
out:
    H5Tclose(type);
}

static int check_metric(const struct rowfile *f, hid_t file)
{
    char word[64];
    hid_t attribute;

    if (H5Aexists(file, "distance") <= 0) return 0;
    if ((attribute = H5Aopen(file, "distance", H5P_DEFAULT)) < 0)
        return fail(ERR_FORMAT, "%s: its attribute `distance` cannot be read", f->path);
    read_word(attribute, word, sizeof word);
    H5Aclose(attribute);
    if (!strcasecmp(word, "euclidean") || !strcasecmp(word, "l2")) return 0;
    return fail(
        ERR_FORMAT,
        "%s: its distance is \"%s\", but this engine measures squared Euclidean distance: its "
        "truth would not hold%s",
        f->path, word,
        strcasecmp(word, "angular")
            ? ""
            : "; normalise the vectors to length 1, store them as .npy and let truth be "
              "computed");
}

/* ---- one of its sets of rows ---- */

/* What HDF5's type is as a cell; -1: none of ours. */
static int cell_of(hid_t type)
{
    size_t bytes = H5Tget_size(type);
    int is_signed = H5Tget_sign(type) == H5T_SGN_2;

    if (H5Tget_class(type) == H5T_FLOAT) {
        if (bytes == 4) return CELL_F32;
        return bytes == 2 && H5Tget_order(type) == H5T_ORDER_LE ? CELL_F16 : -1;
    }
    if (H5Tget_class(type) != H5T_INTEGER) return -1;
    if (bytes == 1) return is_signed ? CELL_I8 : CELL_U8;
    if (bytes == 4) return is_signed ? CELL_I32 : CELL_U32;
    return bytes == 8 && is_signed ? CELL_I64 : -1;
}

/* The library turns bytes about where the file's order is not ours. */
static hid_t memory_type(enum cell cell, hid_t on_file)
{
    switch (cell) {
    case CELL_F32:
        return H5Tcopy(H5T_NATIVE_FLOAT);
    case CELL_U8:
        return H5Tcopy(H5T_NATIVE_UINT8);
    case CELL_I8:
        return H5Tcopy(H5T_NATIVE_INT8);
    case CELL_I32:
        return H5Tcopy(H5T_NATIVE_INT32);
    case CELL_U32:
        return H5Tcopy(H5T_NATIVE_UINT32);
    case CELL_I64:
        return H5Tcopy(H5T_NATIVE_INT64);
    case CELL_F16:
        break;
    }
    return H5Tcopy(on_file);
}

static int take_type(struct rowfile *f, struct hdf5 *h, const char *set)
{
    hid_t type = H5Dget_type(h->set);
    int cell = type < 0 ? -1 : cell_of(type);

    if (cell >= 0) {
        f->cell = (enum cell)cell;
        h->type = memory_type(f->cell, type);
    }
    if (type >= 0) H5Tclose(type);
    if (h->type >= 0) return 0;
    return fail(
        ERR_FORMAT,
        "%s: the type of `%s` is none of f32, f16, u8, i8 (vectors), i32, u32, i64 (ids); 64-bit "
        "floats: convert with h5py and x.astype('f4')",
        f->path, set);
}

static int take_shape(struct rowfile *f, struct hdf5 *h, const char *set)
{
    hid_t space = H5Dget_space(h->set);
    hsize_t shape[2] = {0};
    int dims = space < 0 ? 0 : H5Sget_simple_extent_ndims(space), rc = 0;
    int64_t body;

    if (dims == 2)
        H5Sget_simple_extent_dims(space, shape, NULL);
    else
        rc = fail(ERR_FORMAT, "%s: `%s` is an array of %d dimensions; rows by elements are 2",
                  f->path, set, dims);
    if (space >= 0) H5Sclose(space);
    if (rc < 0) return rc;
    if ((rc = rowfile_check_shape(f, (int64_t)shape[0], (int64_t)shape[1])) < 0) return rc;
    if ((rc = rowfile_body(&body, f, (int64_t)shape[0], (int64_t)shape[1])) < 0) return rc;
    f->rows = (int64_t)shape[0];
    f->d = (int)shape[1];
    f->stride = f->d * (int64_t)cell_bytes(f->cell);
    return 0;
}

/* Without a lock on the file, which many network file systems refuse and a reader has no need of. */
static hid_t open_file(const char *path)
{
    hid_t how = H5Pcreate(H5P_FILE_ACCESS), file;

#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    H5Pset_file_locking(how, 0, 1);
#endif
    file = H5Fopen(path, H5F_ACC_RDONLY, how);
    H5Pclose(how);
    return file;
}

static int open_set(struct rowfile *f, struct hdf5 *h, const char *set)
{
    int rc;

    if ((h->file = open_file(f->path)) < 0)
        return fail(ERR_FORMAT, "%s: libhdf5 cannot open it: cut off, or no HDF5 file?", f->path);
    if ((rc = check_metric(f, h->file)) < 0) return rc;
    if (H5Lexists(h->file, set, H5P_DEFAULT) <= 0 ||
        (h->set = H5Dopen2(h->file, set, H5P_DEFAULT)) < 0)
        return fail(
            ERR_FORMAT,
            "%s: holds no `%s`; of ann-benchmarks' files train, test and neighbors are read",
            f->path, set);
    if ((rc = take_type(f, h, set)) < 0) return rc;
    return take_shape(f, h, set);
}

static int measure(struct rowfile *f, enum role role)
{
    struct hdf5 *h = mem_new(1, sizeof *h);
    int rc;

    if (!h) return ERR_NOMEM;
    *h = (struct hdf5){-1, -1, -1};
    f->own = h;
    begin();
    rc = open_set(f, h, sets[role]);
    end();
    return rc;
}

static void close_all(struct rowfile *f)
{
    struct hdf5 *h = f->own;

    begin();
    if (h->type >= 0) H5Tclose(h->type);
    if (h->set >= 0) H5Dclose(h->set);
    if (h->file >= 0) H5Fclose(h->file);
    end();
    mem_free(h);
}

/* ---- reading ---- */

static int read_slab(const struct rowfile *f, int64_t first, int64_t rows, void *dst)
{
    const struct hdf5 *h = f->own;
    const hsize_t start[2] = {(hsize_t)first, 0}, count[2] = {(hsize_t)rows, (hsize_t)f->d};
    hid_t there = H5Dget_space(h->set), here = H5Screate_simple(2, count, NULL);
    int ok = there >= 0 && here >= 0 &&
             H5Sselect_hyperslab(there, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
             H5Dread(h->set, h->type, here, there, H5P_DEFAULT, dst) >= 0;

    if (here >= 0) H5Sclose(here);
    if (there >= 0) H5Sclose(there);
    if (ok) return 0;
    return fail(ERR_FORMAT, "%s: libhdf5 cannot read rows %lld to %lld: is the file damaged?",
                f->path, (long long)first, (long long)(first + rows - 1));
}

static int read_rows(const struct rowfile *f, int64_t first, int64_t rows, void *dst, char *scratch)
{
    int rc;

    (void)scratch;
    if (rows == 0) return 0;
    begin();
    rc = read_slab(f, first, rows, dst);
    end();
    return rc;
}

/* ---- writing ---- */

static hid_t file_type(enum cell cell)
{
    hid_t type;

    switch (cell) {
    case CELL_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case CELL_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case CELL_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case CELL_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case CELL_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case CELL_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case CELL_F16:
        break;
    }
    type = H5Tcopy(H5T_IEEE_F32LE); /* no half of its own before HDF5 1.14 */
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static int put_metric(hid_t file)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
    int ok = H5Tset_size(type, sizeof "euclidean") >= 0;

    ok = ok &&
         (attribute = H5Acreate2(file, "distance", type, space, H5P_DEFAULT, H5P_DEFAULT)) >= 0;
    ok = ok && H5Awrite(attribute, type, "euclidean") >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return ok;
}

/* The file with room for all rows, none of them written: where the first is to lie, or -1. */
static int64_t make_empty(const char *path, enum cell cell, int64_t rows, int d)
{
    const hsize_t shape[2] = {(hsize_t)rows, (hsize_t)d};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), set = -1;
    hid_t type = file_type(cell), space = H5Screate_simple(2, shape, NULL);
    hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    int64_t at = -1;

    H5Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(how, H5D_FILL_TIME_NEVER);
    if (file >= 0 && put_metric(file))
        set = H5Dcreate2(file, cell_is_id(cell) ? "neighbors" : "train", type, space, H5P_DEFAULT,
                         how, H5P_DEFAULT);
    if (set >= 0 && H5Dget_offset(set) != HADDR_UNDEF) at = (int64_t)H5Dget_offset(set);
    if (set >= 0) H5Dclose(set);
    H5Pclose(how);
    H5Sclose(space);
    H5Tclose(type);
    if (file >= 0 && H5Fclose(file) < 0) at = -1;
    return at;
}

/* What stands before the first row of the file at path, if the rows are all that follows. */
static int copy_head(struct file *to, const char *path, int64_t at, int64_t body)
{
    FILE *from = fopen(path, "rb");
    char *head = NULL;
    struct stat st;
    int rc = ERR_NOMEM;

    if (!from || at < 0 || fstat(fileno(from), &st) < 0 || st.st_size != at + body) {
        rc = fail(ERR_IO, "%s: libhdf5 cannot make a file of this shape here", path);
        goto out;
    }
    if (!(head = mem_new(at, 1))) goto out;
    if (fread(head, 1, (size_t)at, from) == (size_t)at)
        rc = file_write(to, head, at);
    else
        rc = fail_errno(ERR_IO, errno, "%s", path);
out:
    mem_free(head);
    if (from) fclose(from);
    return rc;
}

/*
 * A contiguous set is its rows and nothing between, so the library is only asked for what stands
 * before them: it makes the file without its rows beside the real one, and rows are streamed after
 * a copy of that head, as with any other format.
 */
static int write_head(struct file *to, enum cell cell, int64_t rows, int d)
{
    char path[] = P_tmpdir "/ivfbench-head-XXXXXX";
    int fd = mkstemp(path), rc;
    int64_t at;

    if (fd < 0) return fail_errno(ERR_IO, errno, "%s", path);
    close(fd);
    begin();
    at = make_empty(path, cell, rows, d);
    end();
    rc = copy_head(to, path, at, rows * d * (int64_t)cell_bytes(cell));
    unlink(path);
    return rc;
}

const struct rowformat rowformat_hdf5 = {.name = "hdf5",
                                         .holds_all = 1,
                                         .measure = measure,
                                         .read = read_rows,
                                         .close = close_all,
                                         .write_head = write_head};

#endif
