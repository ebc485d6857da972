/*
 *  register_synapses.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "register_synapses.h"

#include "nest_impl.h"

#include "dendritic_error_synapse.h"

void
register_synapses()
{
  nest::register_connection_model< nest::dendritic_error_synapse >( "dendritic_error_synapse" );
}
