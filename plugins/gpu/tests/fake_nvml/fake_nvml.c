/* A libnvidia-ml.so.1 that answers from a scenario: the text file named by FAKE_NVML_SCENARIO, read at
 * every start of NVML. One line a fact, numbers first and names last:
 *
 *   driver <version>                  cuda <number>                 init_error <code>
 *   gpu <uuid> <bus id> <MiB> <major.minor> <name>                  the next GPU, from number 0
 *   mig <gpu> <position> <uuid> <MiB> <name>                        switches MIG mode on
 *   mig_mode <gpu>                    MIG mode without an instance
 *   lost <gpu>                        its handle cannot be had      dying <gpu>  lost after its UUID
 *   ecc <gpu> <count>                 uncorrected errors
 *
 * Built with -DOLD_DRIVER it lacks what drivers before MIG and ECC counters lack; with -DANCIENT_DRIVER
 * it lacks the start function itself.
 */
#ifdef VENDOR_HEADER
#include <nvml.h>
#else
#include "minimal_nvml.h"
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MOST_GPUS 16
#define MOST_SLICES 8

struct fake {
  char uuid[96], bus[32], name[96];
  unsigned long long mib, ecc;
  int major, minor, lost, dying, mig, present;
  struct fake *parent, *slices;
};

static struct fake gpus[MOST_GPUS], slices[MOST_GPUS][MOST_SLICES];
static unsigned count;
static int started, cuda, init_error;
static char driver[80];

static void forget(void) {
  memset(gpus, 0, sizeof gpus);
  memset(slices, 0, sizeof slices);
  count = 0;
  cuda = 13000;
  init_error = NVML_SUCCESS;
  strcpy(driver, "580.95.05");
  for (int i = 0; i < MOST_GPUS; i++) gpus[i].slices = slices[i];
}

static void learn(const char *line) {
  struct fake one;
  unsigned number = 0, position = 0, value = 0;
  memset(&one, 0, sizeof one);
  if (sscanf(line, "driver %79s", driver) == 1) return;
  if (sscanf(line, "cuda %d", &cuda) == 1) return;
  if (sscanf(line, "init_error %d", &init_error) == 1) return;
  if (sscanf(line, "gpu %95s %31s %llu %d.%d %95[^\n]", one.uuid, one.bus, &one.mib, &one.major, &one.minor,
             one.name) == 6 && count < MOST_GPUS) {
    one.slices = slices[count];
    gpus[count++] = one;
    return;
  }
  if (sscanf(line, "mig %u %u %95s %llu %95[^\n]", &number, &position, one.uuid, &one.mib, one.name) == 5 &&
      number < count && position < MOST_SLICES) {
    one.present = 1;
    one.parent = &gpus[number];
    slices[number][position] = one;
    gpus[number].mig = 1;
    return;
  }
  if (sscanf(line, "mig_mode %u", &number) == 1 && number < count) { gpus[number].mig = 1; return; }
  if (sscanf(line, "lost %u", &number) == 1 && number < count) { gpus[number].lost = 1; return; }
  if (sscanf(line, "dying %u", &number) == 1 && number < count) { gpus[number].dying = 1; return; }
  if (sscanf(line, "ecc %u %u", &number, &value) == 2 && number < count) { gpus[number].ecc = value; return; }
  if (*line != '#' && *line != '\n' && *line != 0) {
    fprintf(stderr, "fake nvml: cannot read the line: %s\n", line);
    abort(); /* a test with a wrong scenario must not pass */
  }
}

static nvmlReturn_t text(char *out, unsigned length, const char *value) {
  if (strlen(value) + 1 > length) return NVML_ERROR_INSUFFICIENT_SIZE;
  strcpy(out, value);
  return NVML_SUCCESS;
}

static struct fake *owner(struct fake *one) { return one->parent ? one->parent : one; }

#define ASK(one) \
  struct fake *one = (struct fake *)device; \
  if (!started) return NVML_ERROR_UNINITIALIZED; \
  if (!one) return NVML_ERROR_INVALID_ARGUMENT; \
  if (owner(one)->lost) return NVML_ERROR_GPU_IS_LOST;
#define ASK_LIVING(one) ASK(one) if (owner(one)->dying) return NVML_ERROR_GPU_IS_LOST;

#ifdef ANCIENT_DRIVER /* drivers before flags had this start alone, which nvidia-ml-py does not ask for */
#define nvmlInitWithFlags nvmlInit_ancient
#endif
EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
  const char *path = getenv("FAKE_NVML_SCENARIO");
  char line[512];
  FILE *file = path ? fopen(path, "r") : NULL;
  (void)flags;
  if (!file) return NVML_ERROR_DRIVER_NOT_LOADED;
  forget();
  while (fgets(line, sizeof line, file)) learn(line);
  fclose(file);
  if (init_error == NVML_SUCCESS) started++;
  return (nvmlReturn_t)init_error;
}

EXPORT nvmlReturn_t nvmlShutdown(void) {
  if (!started) return NVML_ERROR_UNINITIALIZED;
  started--;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned int length) {
  return text(out, length, driver);
}

EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *out) {
  *out = cuda;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *out) {
  if (!started) return NVML_ERROR_UNINITIALIZED;
  *out = count;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out) {
  if (!started) return NVML_ERROR_UNINITIALIZED;
  if (index >= count) return NVML_ERROR_INVALID_ARGUMENT;
  if (gpus[index].lost) return NVML_ERROR_GPU_IS_LOST;
  *out = (nvmlDevice_t)&gpus[index];
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *out, unsigned int length) {
  ASK(one)
  return text(out, length, one->uuid);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *out, unsigned int length) {
  ASK_LIVING(one)
  return text(out, length, one->name);
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *out) {
  ASK_LIVING(one)
  out->total = one->mib << 20;
  out->used = 0;
  out->free = out->total;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *out) {
  ASK_LIVING(one)
  memset(out, 0, sizeof *out);
  return text(out->busId, sizeof out->busId, one->bus);
}

EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
  ASK_LIVING(one)
  *major = one->major;
  *minor = one->minor;
  return NVML_SUCCESS;
}

#ifndef OLD_DRIVER
EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, nvmlMemoryErrorType_t type,
                                                nvmlEccCounterType_t counter, unsigned long long *out) {
  ASK_LIVING(one)
  (void)counter;
  if (one->major < 8) return NVML_ERROR_NOT_SUPPORTED;
  *out = type == NVML_MEMORY_ERROR_TYPE_UNCORRECTED ? one->ecc : 0;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *now, unsigned int *pending) {
  ASK_LIVING(one)
  if (one->major < 8) return NVML_ERROR_NOT_SUPPORTED;
  *now = *pending = (unsigned)one->mig;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *out) {
  ASK_LIVING(one)
  *out = one->major < 8 ? 0 : 7;
  return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int position,
                                                        nvmlDevice_t *out) {
  ASK_LIVING(one)
  if (position >= MOST_SLICES || !one->slices[position].present) return NVML_ERROR_NOT_FOUND;
  *out = (nvmlDevice_t)&one->slices[position];
  return NVML_SUCCESS;
}
#endif
