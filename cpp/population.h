/*
 *  population.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_POPULATION_H
#define PYRAMIDAL_POPULATION_H

#include <string>
#include <typeinfo>

#include "compose.hpp"
#include "exceptions.h"
#include "kernel_manager.h"
#include "static_synapse.h"
#include "static_synapse_hom_w.h"

#include "dendritic_error_synapse.h"

namespace nest
{

/* BeginUserDocs: neuron, population

Short description
+++++++++++++++++

Population of psi cells with one potential, whose spikes of a step travel as one event

Description
+++++++++++

X_population is X_neuron with the same parameters, potentials and spikes: pyramidal_population, pyramidal_tuft_population and
stimulus_population. A cell of either kind that emits spikes with intensity :math:`\psi \phi` stands for :math:`\psi` neurons that share their input.
Here all spikes of a step leave as one event that carries their number, so that a step costs at most one event per synapse,
however many spikes it has.

Targets are pyramidal cells, populations of them and recorders; synapses are static_synapse, static_synapse_hom_w,
dendritic_error_synapse, dendritic_error_psp_synapse and their copies. Connect refuses all others: they would take the event for one spike,
or write something else into it. A spike_recorder gets every spike. There is no refractory time: t_ref is 0.

Parameters
++++++++++

Those of the neuron.

See also
++++++++

pyramidal_neuron, pyramidal_tuft_neuron, stimulus_neuron, dendritic_error_synapse

EndUserDocs */

/**
 * Population of psi cells with one potential: the neuron model NeuronT, whose spikes of a step travel as one event.
 *
 * NEST calls such a cell off-grid: then an event carries a number to its targets, its offset, in which NEST's own iaf_tum_2000 and
 * iaf_bw_2001 also send what is not a precise time. Here it is the number of spikes, negative so that it cannot be taken for a time.
 */
template < typename NeuronT >
class Population : public NeuronT
{
public:
  using NeuronT::NeuronT;

  bool
  is_off_grid() const override
  {
    return true;
  }

  //! Throws IllegalConnection for cells and synapses that would take the event for one spike.
  size_t
  send_test_event( Node& target, const size_t receptor_type, const synindex syn_id, const bool dummy_target ) override
  {
    if ( not dummy_target and target.has_proxies() and not dynamic_cast< DendriticErrorArchivingNode* >( &target ) )
    {
      throw IllegalConnection(
        String::compose( "%1 sends all spikes of a step as one event, which %2 does not understand: take %3 instead",
          this->get_name(),
          target.get_name(),
          "pyramidal_neuron or stimulus_neuron" ) );
    }
    if ( not dummy_target )
    {
      require_counting_synapse_( kernel().model_manager.get_connection_model( syn_id, target.get_thread() ) );
    }
    this->is_recorded_ = this->is_recorded_ or not target.has_proxies();
    return NeuronT::send_test_event( target, receptor_type, syn_id, dummy_target );
  }

  void
  set_status( const Dictionary& d ) override
  {
    double t_ref = 0.0;
    if ( d.update_value( "t_ref", t_ref ) and t_ref != 0.0 )
    {
      throw BadProperty( String::compose(
        "the cells of %1 have no refractory time: t_ref must be 0, got %2 ms", this->get_name(), t_ref ) );
    }
    NeuronT::set_status( d );
  }

private:
  //! Whether the model is one of these, or a copy of one.
  template < typename... ConnectionTs >
  static bool
  is_model_of_( const ConnectorModel& model )
  {
    const std::type_info& type = typeid( model );
    return ( ( type == typeid( GenericConnectorModel< ConnectionTs > )
               or type == typeid( GenericConnectorModel< ConnectionLabel< ConnectionTs > > ) )
      or ... );
  }

  //! Throws IllegalConnection for a synapse model that does not carry the number of spikes.
  void
  require_counting_synapse_( const ConnectorModel& model ) const
  {
    if ( not is_model_of_< DendriticErrorSynapse< 1 >,
           DendriticErrorSynapse< 2 >,
           static_synapse< TargetIdentifierPtrRport >,
           static_synapse< TargetIdentifierIndex >,
           static_synapse_hom_w< TargetIdentifierPtrRport >,
           static_synapse_hom_w< TargetIdentifierIndex > >( model ) )
    {
      throw IllegalConnection( String::compose(
        "%1 sends all spikes of a step as one event, which %2 does not understand: take static_synapse, "
        "static_synapse_hom_w, dendritic_error_synapse or dendritic_error_psp_synapse, or, in place of the population, "
        "%3",
        this->get_name(),
        model.get_name(),
        "pyramidal_neuron or stimulus_neuron" ) );
    }
  }
};

}  // namespace nest

#endif
