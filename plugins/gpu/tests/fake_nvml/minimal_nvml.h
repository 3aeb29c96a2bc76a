/* The few declarations of NVML's public interface that the fake uses, written for these tests.
 * Taken only where the vendor's own nvml.h is not installed; with it, gcc checks every signature. */
#ifndef MINIMAL_NVML_H
#define MINIMAL_NVML_H
typedef int nvmlReturn_t;
enum {
  NVML_SUCCESS = 0, NVML_ERROR_UNINITIALIZED = 1, NVML_ERROR_INVALID_ARGUMENT = 2,
  NVML_ERROR_NOT_SUPPORTED = 3, NVML_ERROR_NOT_FOUND = 6, NVML_ERROR_INSUFFICIENT_SIZE = 7,
  NVML_ERROR_DRIVER_NOT_LOADED = 9, NVML_ERROR_GPU_IS_LOST = 15
};
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct {
  char busIdLegacy[16];
  unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;
typedef int nvmlMemoryErrorType_t;
typedef int nvmlEccCounterType_t;
enum { NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1 };
#endif
