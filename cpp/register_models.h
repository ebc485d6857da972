/*
 *  register_models.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_REGISTER_MODELS_H
#define PYRAMIDAL_REGISTER_MODELS_H

//! Register the models that are not generated, and prepare the kernel; called by the generated module.
void register_models();

#endif
