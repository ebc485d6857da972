/*
 *  register_models.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "register_models.h"

#include "nest_impl.h"

#include "alignment_synapse.h"
#include "dendritic_error_rate_synapse.h"
#include "dendritic_error_synapse.h"
#include "releasing_dendritic_error_synapse.h"
#include "target_buffers.h"

void
register_models()
{
  target_buffers::allow_two_rounds();
  target_buffers::clear();
  nest::register_connection_model< nest::dendritic_error_synapse >( "dendritic_error_synapse" );
  nest::register_connection_model< nest::dendritic_error_psp_synapse >( "dendritic_error_psp_synapse" );
  nest::register_connection_model< nest::dendritic_error_rate_synapse >( "dendritic_error_rate_synapse" );
  nest::register_connection_model< nest::alignment_synapse >( "alignment_synapse" );
  nest::register_connection_model< nest::alignment_rate_synapse >( "alignment_rate_synapse" );
  nest::register_connection_model< nest::releasing_dendritic_error_synapse >( "releasing_dendritic_error_synapse" );
  nest::register_connection_model< nest::releasing_dendritic_error_rate_synapse >(
    "releasing_dendritic_error_rate_synapse" );
}
