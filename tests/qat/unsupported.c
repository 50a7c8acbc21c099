/* Entry points that the engine is linked with, for what this device does not do. */
#include <qat/cpa_cy_ec.h>
#include <qat/cpa_cy_ecdsa.h>
#include <qat/cpa_cy_key.h>
#include <qat/cpa_cy_ln.h>
#include <qat/cpa_cy_sym.h>

#define UNSUPPORTED(name, ...)                                                                     \
    CpaStatus name(__VA_ARGS__)                                                                    \
    {                                                                                              \
        return CPA_STATUS_UNSUPPORTED;                                                             \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"

UNSUPPORTED(cpaCyBufferListGetMetaSize, const CpaInstanceHandle instance, Cpa32U count,
            Cpa32U *size)
UNSUPPORTED(cpaCyEcMontEdwdsPointMultiply, const CpaInstanceHandle instance,
            const CpaCyEcPointMultiplyCbFunc callback, void *tag,
            const CpaCyEcMontEdwdsPointMultiplyOpData *data, CpaBoolean *status, CpaFlatBuffer *x,
            CpaFlatBuffer *y)
UNSUPPORTED(cpaCyEcdsaVerify, const CpaInstanceHandle instance,
            const CpaCyEcdsaVerifyCbFunc callback, void *tag, const CpaCyEcdsaVerifyOpData *data,
            CpaBoolean *status)
UNSUPPORTED(cpaCyKeyGenTls, const CpaInstanceHandle instance, const CpaCyGenFlatBufCbFunc callback,
            void *tag, const CpaCyKeyGenTlsOpData *data, CpaFlatBuffer *out)
UNSUPPORTED(cpaCyKeyGenTls2, const CpaInstanceHandle instance, const CpaCyGenFlatBufCbFunc callback,
            void *tag, const CpaCyKeyGenTlsOpData *data, CpaCySymHashAlgorithm hash,
            CpaFlatBuffer *out)
UNSUPPORTED(cpaCyLnModExp, const CpaInstanceHandle instance, const CpaCyGenFlatBufCbFunc callback,
            void *tag, const CpaCyLnModExpOpData *data, CpaFlatBuffer *out)
UNSUPPORTED(cpaCySymInitSession, const CpaInstanceHandle instance, const CpaCySymCbFunc callback,
            const CpaCySymSessionSetupData *data, CpaCySymSessionCtx session)
UNSUPPORTED(cpaCySymPerformOp, const CpaInstanceHandle instance, void *tag,
            const CpaCySymOpData *data, const CpaBufferList *in, CpaBufferList *out,
            CpaBoolean *verified)
UNSUPPORTED(cpaCySymRemoveSession, const CpaInstanceHandle instance, CpaCySymSessionCtx session)
UNSUPPORTED(cpaCySymSessionCtxGetSize, const CpaInstanceHandle instance,
            const CpaCySymSessionSetupData *data, Cpa32U *size)
UNSUPPORTED(cpaCySymSessionInUse, CpaCySymSessionCtx session, CpaBoolean *in_use)
