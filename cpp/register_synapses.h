/*
 *  register_synapses.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_REGISTER_SYNAPSES_H
#define PYRAMIDAL_REGISTER_SYNAPSES_H

//! Register the synapses that are written in C++; called by the generated module.
void register_synapses();

#endif
